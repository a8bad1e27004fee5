import { cpus, totalmem } from 'node:os'
import type { Env } from '../env/env.js'
import type { HostEngine } from './interface.js'
import { SimulatedEngine } from './sim/engine.js'
import { SimWorld } from './sim/world.js'

export interface OpenEngineOptions {
  /** `auto`, `simulated` or `unix:///path`. */
  readonly engine: string
  readonly hostname: string
  readonly labels: readonly string[]
  readonly dataRoot: string
  readonly simulated: { readonly cpus: number | undefined; readonly memoryBytes: number | undefined }
}

/**
 * Finds the container engine of this host.
 * @throws {SwarmError} when the engine that was asked for cannot be used.
 */
export function openEngine(env: Env, options: OpenEngineOptions): Promise<HostEngine> {
  return Promise.resolve(openSimulatedEngine(env, options))
}

function openSimulatedEngine(env: Env, options: OpenEngineOptions): SimulatedEngine {
  const world = new SimWorld(env, {
    hostname: options.hostname,
    cpus: options.simulated.cpus ?? cpus().length,
    memoryBytes: options.simulated.memoryBytes ?? totalmem(),
    labels: options.labels,
  })
  return new SimulatedEngine(env, world)
}
