import type { NetworkPlan } from './container-config.js'
import type { AssignedTask } from './interface.js'

/** Joins a task's container to its networks. The overlay data plane will be one of these. */
export interface Attacher {
  /**
   * Makes on this node what the task's networks need, and says how the container is created into them.
   * May be called again for the same task. @throws {TaskError}
   */
  plan(task: AssignedTask, signal: AbortSignal): Promise<NetworkPlan>
  /** The task's container has stopped for good. */
  release(task: AssignedTask): Promise<void>
}

/**
 * Leaves containers in the engine's default network, save for those that asked for `host`, `none` or
 * `bridge` by name: overlay networks carry nothing yet.
 */
export const engineDefaultAttacher: Attacher = {
  plan: () => Promise.resolve({}),
  release: () => Promise.resolve(),
}
