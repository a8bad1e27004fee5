import type { Task, Volume, VolumePublishStatus } from '../../model/objects.js'
import { TaskState } from '../../model/task-state.js'
import type { Loop, LoopFactory } from '../../store/loop.js'
import type { View } from '../../store/schema.js'
import type { Commit, Store } from '../../store/store.js'
import type { Tx } from '../../store/transaction.js'
import { isDead } from '../spec.js'
import { Work } from '../../store/work.js'
import { stopTask } from './stop.js'

/**
 * Takes tasks off volumes of the cluster that are being drained, and volumes off nodes where nobody uses them
 * any more.
 * Behaviour: moby/swarmkit manager/orchestrator/volumeenforcer, manager/scheduler/scheduler.go. What a CSI
 * plugin has published is for the plugin to take back; what it never did is simply not wanted any more.
 */
class VolumeEnforcer implements Loop {
  readonly name = 'volume enforcer'
  readonly #store: Store
  readonly #dirty = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  start(view: View): void {
    for (const { id } of view.volumes.list()) this.#dirty.add(id)
  }

  stop(): void {
    this.#dirty.clear()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) {
      if (change.table === 'volumes') this.#dirty.add(change.id)
      if (change.table !== 'tasks' || change.before?.volumes === undefined) continue
      if (change.after !== undefined && !isDead(change.after)) continue
      for (const { id } of change.before.volumes) this.#dirty.add(id)
    }
  }

  get hasWork(): boolean {
    return this.#dirty.size > 0
  }

  async tick(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    for (const id of [...this.#dirty].sort()) {
      if (!work.mayGoOn) break
      this.#dirty.delete(id)
      work.update(
        (tx) => enforce(tx, id),
        () => this.#dirty.add(id),
      )
      await work.breathe(1)
    }
    await work.end()
  }
}

function enforce(tx: Tx, volumeId: string): void {
  const volume = tx.volumes.get(volumeId)
  if (volume === undefined) return
  const tasks = tx.tasks.by('volume', volumeId)
  for (const id of tasksToStop(volume, tasks)) {
    stopTask(tx, id, 'volume enforcer', 'attached to volume which is being drained')
  }
  const publishStatus = stillWanted(volume, tasks)
  if (publishStatus !== undefined) tx.update('volumes', volumeId, { publishStatus })
}

/** IDs of the tasks that may not stay. */
export function tasksToStop({ spec }: Volume, tasks: readonly Task[]): readonly string[] {
  if (spec.Availability !== 'drain') return []
  return tasks
    .filter(
      ({ desiredState, status }) => desiredState <= TaskState.Complete && status.state < TaskState.Complete,
    )
    .map(({ id }) => id)
}

/** Where the volume is wanted; undefined where that is as it is. */
export function stillWanted(
  { publishStatus = [] }: Volume,
  tasks: readonly Task[],
): readonly VolumePublishStatus[] | undefined {
  const users = new Set(tasks.filter((task) => !isDead(task)).map(({ nodeId }) => nodeId))
  const wanted = publishStatus.flatMap((status): readonly VolumePublishStatus[] => {
    if (users.has(status.nodeId)) return [status]
    if (status.state === 'pending-publish') return []
    return [status.state === 'published' ? { ...status, state: 'pending-node-unpublish' } : status]
  })
  const isSame =
    wanted.length === publishStatus.length && wanted.every((one, at) => one === publishStatus[at])
  return isSame ? undefined : wanted
}

export const volumeEnforcer: LoopFactory = (_env, store) => new VolumeEnforcer(store)
