export type { ControlContext, RaftMembers } from './context.js'
export { createControl } from './control.js'
export type { Control } from './interface.js'
export { findConfig, findNetwork, findNode, findSecret, findService, findTask, findVolume } from './lookup.js'
