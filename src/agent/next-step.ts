import { TaskState } from '../model/task-state.js'

/** What to do next about one task. `state` is the task’s once that is done. */
export type Step =
  | { readonly kind: 'idle' }
  /** Only a new state: nothing happens on the node. */
  | { readonly kind: 'enter'; readonly state: TaskState; readonly message: string }
  | {
      readonly kind: 'act'
      readonly action: 'prepare' | 'start' | 'wait' | 'shutdown'
      readonly state: TaskState
      readonly message: string
    }

const idle: Step = { kind: 'idle' }

/**
 * The one step from the observed state towards the desired one.
 *
 * 1. What is to be shut down and has not ended is stopped.
 * 2. What is past its desired state stays.
 * 3. A step that was begun is finished, even where that leads past the desired state.
 * 4. A new one is begun only towards the desired state: desired READY parks a task that is ready to start.
 *
 * Behaviour: moby/swarmkit agent/exec/controller.go, Do.
 */
export function nextStep(observed: TaskState, desired: TaskState): Step {
  if (desired >= TaskState.Shutdown) {
    if (observed >= TaskState.Complete) return idle
    return { kind: 'act', action: 'shutdown', state: TaskState.Shutdown, message: 'shutdown' }
  }
  if (observed > desired) return idle
  switch (observed) {
    case TaskState.Preparing:
      return { kind: 'act', action: 'prepare', state: TaskState.Ready, message: 'prepared' }
    case TaskState.Starting:
      return { kind: 'act', action: 'start', state: TaskState.Running, message: 'started' }
    case TaskState.Running:
      return { kind: 'act', action: 'wait', state: TaskState.Complete, message: 'finished' }
    default:
  }
  if (observed >= desired) return idle
  switch (observed) {
    case TaskState.Assigned:
      return { kind: 'enter', state: TaskState.Accepted, message: 'accepted' }
    case TaskState.Accepted:
      return { kind: 'enter', state: TaskState.Preparing, message: 'preparing' }
    case TaskState.Ready:
      return { kind: 'enter', state: TaskState.Starting, message: 'starting' }
    default:
      return idle
  }
}

/** The state of a task that a step has failed for good. */
export function failedState(observed: TaskState): TaskState {
  return observed < TaskState.Starting ? TaskState.Rejected : TaskState.Failed
}

export function isSameStep(a: Step, b: Step): boolean {
  return a.kind === b.kind && (a.kind !== 'act' || (b.kind === 'act' && a.action === b.action))
}
