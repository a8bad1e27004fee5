import { createApp } from '../app.js'
import { openEngine } from '../engine/index.js'
import { findLocalNetwork } from '../engine/local-networks.js'
import type { Env } from '../env/env.js'
import { systemEnv } from '../env/system.js'
import { createExecutor } from '../executor/index.js'
import { errorText } from '../model/errors.js'
import { systemInterfaces } from '../node/interfaces.js'
import { LocalNode } from '../node/local-node.js'
import { SwarmDirectory } from '../node/state-file.js'
import { banner, formatAddress } from './banner.js'
import type { Config, ListenAddress } from './config.js'
import { lockDataRoot, writePidfile } from './data-root.js'
import { Listeners } from './listeners.js'
import { createLog } from './log.js'
import { OptionError } from './options.js'

/** Undoes what was started, last first; a step that fails does not keep the others from running. */
class Cleanup {
  readonly #env: Env
  readonly #steps: { readonly what: string; readonly undo: () => void | Promise<void> }[] = []

  constructor(env: Env) {
    this.#env = env
  }

  add(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo })
  }

  async run(): Promise<void> {
    for (const { what, undo } of this.#steps.splice(0).toReversed()) {
      try {
        await undo()
      } catch (error) {
        this.#env.log.error({ err: errorText(error) }, `${what} did not end in order`)
      }
    }
  }
}

/**
 * Runs the daemon until SIGTERM or SIGINT.
 * @returns the exit code: 0 after an orderly stop, 1 when that took too long.
 * @throws {OptionError} when it cannot start as configured.
 */
export async function runDaemon(config: Config, version: string): Promise<number> {
  const env = systemEnv(createLog(config.logLevel, config.logFormat))
  const cleanup = new Cleanup(env)
  // From here on a signal means an orderly stop, even in the middle of the start.
  const signal = nextSignal()
  try {
    await start(env, config, version, cleanup)
  } catch (error) {
    await cleanup.run()
    throw error
  }
  env.log.info({ signal: await signal }, 'stopping')
  return stop(env, config, cleanup)
}

async function start(env: Env, config: Config, version: string, cleanup: Cleanup): Promise<void> {
  cleanup.add('the data root', lockDataRoot(config.dataRoot))
  if (config.pidfile !== undefined) cleanup.add('the pid file', writePidfile(config.pidfile))

  const engine = await openEngine(env, {
    engine: config.engine,
    hostname: config.hostname,
    labels: config.labels,
    dataRoot: config.dataRoot,
    simulated: config.simulated,
  })
  cleanup.add('the engine', () => engine.close())
  const executor = createExecutor(env, engine, {
    hostname: config.hostname,
    labels: config.labels,
    genericResources: config.genericResources,
    dataRoot: config.dataRoot,
  })
  cleanup.add('the executor', () => executor.close())

  const node = new LocalNode(env, {
    directory: new SwarmDirectory(config.dataRoot),
    host: {
      hostname: config.hostname,
      executor,
      findLocalNetwork: (nameOrId) => findLocalNetwork(engine, nameOrId),
    },
    interfaces: systemInterfaces,
    defaultAdvertiseAddr: config.defaultAdvertiseAddr,
  })
  cleanup.add('the node', () => node.stop())
  await node.start()

  const app = createApp(env, {
    swarm: node,
    engine,
    daemon: {
      version,
      gitCommit: '',
      hostname: config.hostname,
      dataRoot: config.dataRoot,
      debug: config.logLevel === 'debug',
      labels: config.labels,
    },
  })
  cleanup.add('the API', () => app.close())
  await app.ready()

  const listeners = new Listeners(app.server, config.tls)
  cleanup.add('the listeners', () => {
    listeners.stopAccepting()
    listeners.destroyConnections()
  })
  const addresses: ListenAddress[] = []
  for (const address of config.listeners) {
    const bound = await listeners.listen(address)
    addresses.push(bound)
    env.log.info({}, `API listen on ${formatAddress(bound)}`)
  }
  process.stdout.write(banner(version, engine.description, addresses))
}

async function stop(env: Env, config: Config, cleanup: Cleanup): Promise<number> {
  void nextSignal().then((signal) => {
    env.log.warn({ signal }, 'second signal: ending at once')
    process.exit(1)
  })
  const timeout = new Promise<'timeout'>((resolve) => {
    env.after(config.shutdownTimeoutMs, () => resolve('timeout'))
  })
  const ended = await Promise.race([cleanup.run().then(() => 'done' as const), timeout])
  if (ended === 'timeout') {
    env.log.error({ timeoutMs: config.shutdownTimeoutMs }, 'the orderly stop took too long: ending at once')
    process.exit(1)
  }
  env.log.info({}, 'stopped')
  // Timers and sockets of libraries must not keep a stopped daemon alive.
  process.exit(0)
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => resolve(name))
    }
  })
}

export { OptionError }
