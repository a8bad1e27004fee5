import type { Service, Task } from '../../../src/model/objects.js'
import { TaskState } from '../../../src/model/task-state.js'
import { updateRules } from '../../../src/orchestrator/spec.js'
import type { Change } from '../../../src/store/apply.js'
import { slotKey, type View } from '../../../src/store/schema.js'

/**
 * Watches what is done on purpose to tasks that run: while one update or drain of a service is under way, no
 * more of its slots may be without a running task for its sake than its settings allow. Slots whose new task
 * failed do not count: the settings say what becomes of those.
 */
export class Disruptions {
  /** Slots whose task was stopped on purpose and that have no running one since, by service. */
  readonly #down = new Map<string, Set<string>>()

  /** @returns what is wrong with the change. `view` has it already. */
  note(view: View, change: Change): string | undefined {
    if (change.table === 'services') this.#noteService(change.id, change.before, change.after)
    return change.table === 'tasks' ? this.#noteTask(view, change.before, change.after) : undefined
  }

  /** Another spec, or the way back: what is under way begins anew. */
  #noteService(id: string, before: Service | undefined, after: Service | undefined): void {
    const isSame = before?.spec === after?.spec && before?.updateStatus?.state === after?.updateStatus?.state
    if (!isSame) this.#down.delete(id)
  }

  #noteTask(view: View, before: Task | undefined, after: Task | undefined): string | undefined {
    if (before === undefined || after?.serviceId === undefined) return undefined
    const key = slotKey(after) ?? ''
    const down = this.#down.get(after.serviceId) ?? new Set()
    this.#down.set(after.serviceId, down)
    const { state } = after.status
    const hasFailed = state > TaskState.Running && before.status.state <= TaskState.Running
    const isNew = after.desiredState <= TaskState.Running
    if (isNew && (state === TaskState.Running || hasFailed)) down.delete(key)
    if (after.desiredState === TaskState.Remove) down.delete(key)
    const service = view.services.get(after.serviceId)
    if (service?.spec.Mode?.Replicated === undefined || !isStoppedOnPurpose(view, before, after))
      return undefined
    if (view.tasks.by('slot', key).some((task) => isServing(task))) return undefined
    down.add(key)
    const { parallelism } = updateRules(service)
    if (parallelism === 0 || down.size <= parallelism) return undefined
    return `${service.spec.Name}: ${down.size} slots are down at a time, ${parallelism} may be: ${[...down].join()}`
  }
}

function isServing(task: Task): boolean {
  return task.desiredState <= TaskState.Running && task.status.state === TaskState.Running
}

function isStoppedOnPurpose(view: View, before: Task, after: Task): boolean {
  if (!isServing(before) || after.desiredState !== TaskState.Shutdown) return false
  const node = view.nodes.get(after.nodeId ?? '')
  return after.status.state === TaskState.Running && node !== undefined && node.status.state !== 'down'
}
