import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { sleep, type Env } from '../../env/env.js'
import { systemEnv } from '../../env/system.js'
import { errorText } from '../../model/errors.js'
import { parseChaosLine, type Chaos, type ChaosStep } from './chaos.js'
import { Crowd } from './crowd.js'
import { parseSimOptions, usage, type SimOptions } from './options.js'
import { seededRandomInt } from './seeded.js'

type SimEvent =
  | { readonly event: 'joined'; readonly nodes: number; readonly durationMs: number }
  | {
      readonly event: 'chaos'
      readonly atMs: number
      readonly action: string
      readonly nodes: readonly string[]
    }
  | { readonly event: 'left'; readonly nodes: number; readonly durationMs: number }

const progressEveryMs = 1000

/** `skep sim`: many workers in one process, over real sessions. */
export const simCommand = {
  name: 'sim',
  summary: 'Run many worker nodes with simulated engines in one process',
  run: async (args: readonly string[]): Promise<number> => {
    const options = parseSimOptions(args)
    if (options !== 'help') return runSim(options)
    console.log(usage)
    return 0
  },
}

async function runSim(options: SimOptions): Promise<number> {
  const log = pino({ level: options.debug ? 'debug' : 'warn', base: null }, pino.destination(2))
  const randomInt = seededRandomInt(options.seed)
  const env: Env = systemEnv(log)
  const crowd = new Crowd(env, { ...options, randomInt })
  const stopping = stopOnSignals()
  const tell = (event: SimEvent) =>
    console.log(options.format === 'json' ? JSON.stringify(event) : eventLine(event))
  try {
    await joinAll(env, crowd, options.names.length, stopping.signal, tell)
    const startMs = env.monotonicMs()
    const chaos =
      options.chaos === 'stdin'
        ? chaosOfStdin(options.names, stopping.signal)
        : chaosAtItsTime(env, options.chaos, startMs, stopping.signal)
    for await (const step of chaos) {
      const nodes = await crowd.befall(step)
      const atMs = Math.round(env.monotonicMs() - startMs)
      tell({ event: 'chaos', atMs, action: step.action, nodes })
    }
    await stopping.promise
  } catch (error) {
    if (!stopping.signal.aborted) {
      // Those that are in the swarm by now must not stay behind as dead nodes.
      await crowd.leave()
      throw error
    }
  }
  const leaveMs = env.monotonicMs()
  await crowd.leave()
  tell({ event: 'left', nodes: crowd.size, durationMs: Math.round(env.monotonicMs() - leaveMs) })
  return 0
}

async function* chaosAtItsTime(
  env: Env,
  plan: readonly ChaosStep[],
  startMs: number,
  signal: AbortSignal,
): AsyncGenerator<Chaos> {
  for (const step of plan) {
    await sleep(env, Math.max(0, startMs + step.atMs - env.monotonicMs()), signal)
    yield step
  }
}

/** A line that cannot be used is told of, and skipped. */
async function* chaosOfStdin(names: readonly string[], signal: AbortSignal): AsyncGenerator<Chaos> {
  const lines = createInterface({ input: process.stdin, signal })
  for await (const line of lines) {
    try {
      yield parseChaosLine(line, names)
    } catch (error) {
      process.stderr.write(`cannot use the line ${line}: ${errorText(error)}\n`)
    }
  }
}

async function joinAll(
  env: Env,
  crowd: Crowd,
  nodes: number,
  signal: AbortSignal,
  tell: (event: SimEvent) => void,
): Promise<void> {
  const startMs = env.monotonicMs()
  let joined = 0
  let cancelProgress: () => void = () => undefined
  const showProgress = () => {
    process.stderr.write(`${joined} of ${nodes} nodes have joined\n`)
    cancelProgress = env.after(progressEveryMs, showProgress)
  }
  cancelProgress = env.after(progressEveryMs, showProgress)
  try {
    await crowd.join(signal, () => joined++)
  } finally {
    cancelProgress()
  }
  tell({ event: 'joined', nodes, durationMs: Math.round(env.monotonicMs() - startMs) })
}

/** The first signal asks for an orderly end, a second one ends the process. */
function stopOnSignals(): { readonly signal: AbortSignal; readonly promise: Promise<void> } {
  const controller = new AbortController()
  const promise = new Promise<void>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(1)
    controller.abort(new Error('a signal ends this'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { signal: controller.signal, promise }
}

function eventLine(event: SimEvent): string {
  switch (event.event) {
    case 'joined':
      return `${event.nodes} nodes joined in ${(event.durationMs / 1000).toFixed(1)} s`
    case 'chaos':
      return `${event.atMs} ms: ${event.action} ${event.nodes.join(', ') || '(nobody)'}`
    case 'left':
      return `${event.nodes} nodes left in ${(event.durationMs / 1000).toFixed(1)} s`
    default:
      return event satisfies never
  }
}
