/**
 * Task states in the order in which a task goes through them; the numbers only grow.
 * Source: moby/swarmkit api/types.proto.
 */
export const TaskState = {
  New: 0,
  Pending: 64,
  Assigned: 192,
  Accepted: 256,
  Preparing: 320,
  Ready: 384,
  Starting: 448,
  Running: 512,
  Complete: 576,
  Shutdown: 640,
  Failed: 704,
  Rejected: 768,
  /** Only ever a desired state: the task's object is to go once it has stopped. */
  Remove: 800,
  Orphaned: 832,
} as const

export type TaskState = (typeof TaskState)[keyof typeof TaskState]

const names = new Map<TaskState, string>(
  Object.entries(TaskState).map(([name, state]) => [state, name.toLowerCase()]),
)
const byName = new Map([...names].map(([state, name]) => [name, state]))

/** Docker's name of a state: `running`. */
export function taskStateName(state: TaskState): string {
  return names.get(state) ?? 'unknown'
}

/** The state that Docker calls `name` (any case), or undefined. */
export function parseTaskState(name: string): TaskState | undefined {
  return byName.get(name.toLowerCase())
}
