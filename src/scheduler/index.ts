export { explainTask, type TaskExplanation } from './explain-task.js'
export { Scheduler, schedulerLoop } from './scheduler.js'
export { byteText, cpuText, type NodeVerdict } from './verdict.js'
