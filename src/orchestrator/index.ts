import type { LoopFactory } from '../store/loop.js'
import { constraintEnforcer } from './enforcer/constraint-enforcer.js'
import { volumeEnforcer } from './enforcer/volume-enforcer.js'
import { jobLoop } from './jobs/job-loop.js'
import { taskReaper } from './reaper/task-reaper.js'
import { serviceLoop } from './service-loop.js'

/** Everything that turns services into tasks, to be run while this member leads. */
export const orchestratorLoops: readonly LoopFactory[] = [
  serviceLoop,
  jobLoop,
  constraintEnforcer,
  volumeEnforcer,
  taskReaper,
]

export { modeOf, isJob, replicasOf } from './spec.js'
export { isTaskDirty } from './update/dirty.js'
