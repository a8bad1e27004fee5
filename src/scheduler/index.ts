export type { NodeVerdict } from './explanation.js'
export { Scheduler, schedulerLoop } from './scheduler.js'
