import type { Step } from '../script.js'
import { inactiveSteps, leaveSteps, swarmSteps } from './swarm.js'
import { networkSteps } from './networks.js'
import { nodeSteps } from './nodes.js'
import { configSteps, secretSteps } from './secrets.js'
import { serviceSteps, taskSteps } from './services.js'

/** The whole script, for a daemon that is in no swarm and has the image `busybox:latest`. */
export const script: readonly Step[] = [
  ...inactiveSteps,
  ...swarmSteps,
  ...nodeSteps,
  ...secretSteps,
  ...configSteps,
  ...networkSteps,
  ...serviceSteps,
  ...taskSteps,
  ...leaveSteps,
]
