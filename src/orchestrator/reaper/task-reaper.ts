import type { Env } from '../../env/env.js'
import type { Service, Task } from '../../model/objects.js'
import type { Loop, LoopFactory } from '../../store/loop.js'
import { slotKey, type View } from '../../store/schema.js'
import type { Commit, Store } from '../../store/store.js'
import type { Tx } from '../../store/transaction.js'
import { isDead, isJob, isLive } from '../spec.js'
import { Work } from '../../store/work.js'
import { defaultHistoryLimit, historyLimit, isOver, isRemovable, planHistory } from './plan.js'

/** History is tidied in batches: so long after the first thing to do, or once there is much. */
const batchDelayMs = 250
const maxBatch = 1000
const keysPerTransaction = 50
const tasksPerSlice = 1000

/** Deletes tasks that nobody needs any more. */
class TaskReaper implements Loop {
  readonly name = 'task reaper'
  readonly #env: Env
  readonly #store: Store
  readonly #wake: () => void
  /** Slots, by key, whose history may have become too long. */
  readonly #dirtySlots = new Set<string>()
  /** Slots whose history is too long while tasks in them are being stopped. */
  readonly #waitingSlots = new Set<string>()
  readonly #removable = new Set<string>()
  #unscanned: readonly Task[] = []
  #limit = defaultHistoryLimit
  #cancelTimer: (() => void) | undefined
  #due = false

  constructor(env: Env, store: Store, wake: () => void) {
    this.#env = env
    this.#store = store
    this.#wake = wake
  }

  start(view: View): void {
    this.#unscanned = view.tasks.unsorted()
    this.#limit = historyLimit(view)
  }

  stop(): void {
    this.#cancelTimer?.()
  }

  onCommit({ changes }: Commit): void {
    for (const change of changes) {
      if (change.table === 'tasks') this.#noteTask(change.before, change.after)
      else if (change.table === 'clusters') this.#noteLimit()
    }
  }

  get hasWork(): boolean {
    if (this.#unscanned.length > 0) return true
    const waiting = this.#dirtySlots.size + this.#removable.size
    return waiting > maxBatch || (waiting > 0 && this.#cancelTimer === undefined)
  }

  async tick(signal: AbortSignal): Promise<void> {
    const work = new Work(this.#store, signal)
    await this.#scan(work)
    if (this.#isDue()) {
      await this.#removeTasks(work)
      await this.#tidySlots(work)
      this.#due = false
    }
    await work.end()
  }

  #noteTask(before: Task | undefined, after: Task | undefined): void {
    if (after === undefined) {
      if (before !== undefined) this.#removable.delete(before.id)
      return
    }
    if (isRemovable(after)) this.#removable.add(after.id)
    const key = slotKey(after)
    if (key === undefined) return
    if (before === undefined || (this.#waitingSlots.has(key) && mayBeOver(before, after))) {
      this.#dirtySlots.add(key)
    }
  }

  /** A lower limit holds for what is there already. */
  #noteLimit(): void {
    const limit = historyLimit(this.#store.view)
    if (limit === this.#limit) return
    this.#limit = limit
    this.#unscanned = this.#store.view.tasks.unsorted()
  }

  async #scan(work: Work): Promise<void> {
    while (this.#unscanned.length > 0 && work.mayGoOn) {
      for (const task of this.#unscanned.slice(0, tasksPerSlice)) {
        // A slot without anything to delete is as it should be.
        if (isOver(task)) this.#noteTask(undefined, task)
      }
      this.#unscanned = this.#unscanned.slice(tasksPerSlice)
      await work.breathe(tasksPerSlice)
    }
  }

  #isDue(): boolean {
    const waiting = this.#dirtySlots.size + this.#removable.size
    if (waiting === 0) return false
    if (this.#due || waiting > maxBatch) {
      this.#cancelTimer?.()
      this.#cancelTimer = undefined
      return true
    }
    this.#cancelTimer ??= this.#env.after(batchDelayMs, () => {
      this.#cancelTimer = undefined
      this.#due = true
      this.#wake()
    })
    return false
  }

  async #removeTasks(work: Work): Promise<void> {
    await inChunks([...this.#removable], work, (ids) => {
      for (const id of ids) this.#removable.delete(id)
      work.update(
        (tx) => {
          for (const id of ids) {
            const task = tx.tasks.get(id)
            if (task !== undefined && isRemovable(task)) tx.remove('tasks', id)
          }
        },
        () => {
          for (const id of ids) this.#removable.add(id)
        },
      )
    })
  }

  async #tidySlots(work: Work): Promise<void> {
    await inChunks([...this.#dirtySlots], work, (keys) => {
      for (const key of keys) this.#dirtySlots.delete(key)
      work.update(
        (tx) => {
          for (const key of keys) this.#tidySlot(tx, key)
        },
        () => {
          for (const key of keys) this.#dirtySlots.add(key)
        },
      )
    })
  }

  #tidySlot(tx: Tx, key: string): void {
    this.#waitingSlots.delete(key)
    const tasks = tx.tasks.by('slot', key)
    const service = serviceOf(tx, tasks)
    if (service === undefined || isJob(service.spec)) return
    const { removeTaskIds, waits } = planHistory(service, tasks, this.#limit)
    for (const id of removeTaskIds) tx.remove('tasks', id)
    if (waits) this.#waitingSlots.add(key)
  }
}

export const taskReaper: LoopFactory = (env, store, wake) => new TaskReaper(env, store, wake)

function serviceOf(tx: Tx, tasks: readonly Task[]): Service | undefined {
  return tx.services.get(tasks[0]?.serviceId ?? '')
}

/** Whether the change may have made the task history. */
function mayBeOver(before: Task, after: Task): boolean {
  return isDead(before) !== isDead(after) || isLive(before) !== isLive(after)
}

async function inChunks(keys: readonly string[], work: Work, fn: (chunk: readonly string[]) => void) {
  for (let at = 0; at < keys.length && work.mayGoOn; at += keysPerTransaction) {
    const chunk = keys.slice(at, at + keysPerTransaction)
    fn(chunk)
    await work.breathe(chunk.length)
  }
}
