export { Agent, type AgentOptions } from './agent.js'
export type { StoredTask, TaskStorage } from './task-database.js'
