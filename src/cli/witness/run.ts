import { pino } from 'pino'
import { certificateIdentity } from '../../ca/index.js'
import { systemEnv } from '../../env/system.js'
import { admit } from './admission.js'
import type { WitnessOptions } from './options.js'
import { WitnessDirectory } from './witness-directory.js'
import { Witness } from './witness.js'

interface WitnessEvent {
  readonly event: 'started' | 'session' | 'stopped'
  readonly nodeId: string
  readonly addr: string
  readonly memoryBytes: number
}

/** Runs a witness until a signal ends it. @throws {Error} when it cannot go on. */
export async function runWitness(options: WitnessOptions): Promise<number> {
  const env = systemEnv(pino({ level: options.debug ? 'debug' : 'warn', base: null }, pino.destination(2)))
  const stopping = new AbortController()
  const ended = new Promise<Error>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(stopping.signal.reason as Error), {
      once: true,
    })
  })
  stopOnSignals(stopping)
  const directory = new WitnessDirectory(options.dataRoot)
  const admission = await admit(env, directory, options, stopping.signal)
  const { nodeId } = certificateIdentity(admission.keys.certificate)
  const tell = (event: WitnessEvent['event'], addr: string) => {
    const told = { event, nodeId, addr, memoryBytes: process.memoryUsage.rss() }
    console.log(options.format === 'json' ? JSON.stringify(told) : eventLine(told))
  }
  const witness = await Witness.start(
    env,
    {
      hostname: options.hostname,
      onSession: () => tell('session', witness.state.advertiseAddr),
      onEnded: (error) => stopping.abort(error),
    },
    directory,
    admission,
  )
  tell('started', witness.state.listenAddr)
  const reason = await ended
  await witness.stop()
  if (reason !== bySignal) throw reason
  tell('stopped', witness.state.advertiseAddr)
  return 0
}

const bySignal = new Error('a signal ends this')

/** The first signal asks for an orderly end, a second one ends the process. */
function stopOnSignals(stopping: AbortController): void {
  const onSignal = () => {
    if (stopping.signal.aborted) process.exit(1)
    stopping.abort(bySignal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}

function eventLine({ event, nodeId, addr, memoryBytes }: WitnessEvent): string {
  const memory = `${Math.round(memoryBytes / 2 ** 20)} MiB`
  switch (event) {
    case 'started':
      return `witness ${nodeId} listens on ${addr} (${memory})`
    case 'session':
      return `the managers see the witness (${memory})`
    case 'stopped':
      return 'the witness stops'
    default:
      return event satisfies never
  }
}
