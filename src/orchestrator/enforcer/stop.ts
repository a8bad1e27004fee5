import { TaskState } from '../../model/task-state.js'
import type { Tx } from '../../store/transaction.js'

/**
 * Tells a task to stop, and users why: what its node reports later does not hide the reason.
 * @param enforcer for the message: `constraint enforcer`.
 */
export function stopTask(tx: Tx, taskId: string, enforcer: string, reason: string): void {
  const task = tx.tasks.get(taskId)
  if (task === undefined) return
  tx.update('tasks', taskId, {
    desiredState: TaskState.Shutdown,
    stopReason: reason,
    status: { ...task.status, message: `task rejected by ${enforcer}`, err: reason },
  })
}
