import { DockerEngine, SimulatedEngine, type HostEngine } from '../engine/index.js'
import type { Env } from '../env/env.js'
import { SwarmError } from '../model/errors.js'
import { DockerExecutor } from './dockerd/executor.js'
import { parseGenericResources } from './generic-resources.js'
import type { Executor } from './interface.js'
import { SimExecutor } from './sim/executor.js'

export * from './interface.js'
export { DockerExecutor, type DockerExecutorOptions } from './dockerd/executor.js'
export { SimExecutor } from './sim/executor.js'

export interface ExecutorOptions {
  readonly hostname: string
  /** Engine labels, `key=value`. */
  readonly labels: readonly string[]
  /** `KIND=VALUE` */
  readonly genericResources: readonly string[]
  readonly dataRoot: string
}

/** The executor that runs tasks on `engine`. */
export function createExecutor(env: Env, engine: HostEngine, options: ExecutorOptions): Executor {
  const genericResources = parseGenericResources(options.genericResources)
  if (engine instanceof SimulatedEngine) return new SimExecutor(engine.world, { genericResources })
  if (engine instanceof DockerEngine) {
    const preferOfflineImage = process.env['DOCKER_SERVICE_PREFER_OFFLINE_IMAGE'] === '1'
    return new DockerExecutor(env, engine, { ...options, genericResources, preferOfflineImage })
  }
  throw new SwarmError('Unimplemented', `no executor for ${engine.description}`)
}
