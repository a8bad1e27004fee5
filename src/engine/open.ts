import { existsSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Env } from '../env/env.js'
import { errorText, SwarmError } from '../model/errors.js'
import { DockerEngine } from './docker/engine.js'
import type { HostEngine } from './interface.js'
import { SimulatedEngine } from './sim/engine.js'
import { SimJournal } from './sim/journal.js'
import { SimWorld } from './sim/world.js'

export interface OpenEngineOptions {
  /** `auto`, `simulated` or `unix:///path`. */
  readonly engine: string
  readonly hostname: string
  /** `key=value` */
  readonly labels: readonly string[]
  /** The simulated engine keeps its world here. */
  readonly dataRoot: string
  readonly simulated: { readonly cpus: number | undefined; readonly memoryBytes: number | undefined }
}

/**
 * Finds the container engine of this host.
 * @throws {SwarmError} when the engine that was asked for cannot be used; when one that was found is in a
 *   swarm of its own.
 */
export async function openEngine(env: Env, options: OpenEngineOptions): Promise<HostEngine> {
  const { engine } = options
  if (engine === 'simulated') return openSimulatedEngine(env, options)
  if (engine === 'auto') return (await findEngine(env)) ?? openSimulatedEngine(env, options)
  if (engine.startsWith('unix://')) return DockerEngine.open(env, engine.slice('unix://'.length))
  throw new SwarmError('InvalidArgument', `unknown engine ${engine}: want auto, simulated or unix:///path`)
}

async function findEngine(env: Env): Promise<HostEngine | undefined> {
  for (const path of usualSockets(process.env['XDG_RUNTIME_DIR'])) {
    if (!existsSync(path)) continue
    try {
      return await DockerEngine.open(env, path)
    } catch (error) {
      if (error instanceof SwarmError && error.code === 'FailedPrecondition') throw error
      env.log.warn({ path, err: errorText(error) }, 'a container engine was found but cannot be used')
    }
  }
  return undefined
}

/** Where engines listen, in the order in which they are tried. */
export function usualSockets(runtimeDir: string | undefined): readonly string[] {
  return [
    '/var/run/docker.sock',
    '/run/podman/podman.sock',
    ...(runtimeDir === undefined || runtimeDir === '' ? [] : [join(runtimeDir, 'podman/podman.sock')]),
  ]
}

async function openSimulatedEngine(env: Env, options: OpenEngineOptions): Promise<SimulatedEngine> {
  const world = new SimWorld(env, {
    hostname: options.hostname,
    cpus: options.simulated.cpus ?? cpus().length,
    memoryBytes: options.simulated.memoryBytes ?? totalmem(),
    labels: options.labels,
  })
  return new SimulatedEngine(env, world, await SimJournal.open(env, world, options.dataRoot))
}
