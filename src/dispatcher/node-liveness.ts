import { isDeepStrictEqual } from 'node:util'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { Node } from '../model/objects.js'
import type { NodeDescription } from '../model/spec/index.js'
import { TaskState } from '../model/task-state.js'
import type { View } from '../store/store.js'
import type { LostNode } from '../wire/index.js'
import { Brake } from './brake.js'
import type { StoreWriter } from './store-writer.js'

/** A node whose connection died has so long to come back. */
const reconnectGraceMs = 3000
/** What is left of that where others saw it die: managers that have not told of their nodes yet may have it. */
const leastGraceMs = 2000
/** Heartbeats that a silent node may miss. Behaviour: moby/swarmkit manager/dispatcher/dispatcher.go. */
const missedHeartbeats = 3
/** A node that is so many periods late with a heartbeat may have vanished. Periods differ by a tenth. */
const missedBeats = 1.3
/** A new leader gives the nodes so many periods to find it. */
const unknownGracePeriods = 4
/** A timer that fires so late shows that this process itself stood still: the nodes then get time to say something. */
const lateMs = 1000
const resumeGraceMs = 2000
/** After so long the tasks of a node that is down are given up. */
const orphanAfterMs = 24 * 60 * 60 * 1000

interface Watched {
  readonly periodMs: number
  /** Monotonic. */
  lastHeardMs: number
  allowedSilenceMs: number
  timerDueMs: number
  cancelTimer: () => void
}

interface Wait {
  /** Known before the term; lost during it; down. */
  readonly for: 'unknown' | 'lost' | 'down'
  readonly cancel: () => void
}

/**
 * Which nodes live, and what the store says of that. Heartbeats stay in memory; only a change of state is
 * written.
 */
export class NodeLiveness {
  readonly #env: Env
  readonly #view: View
  readonly #writer: StoreWriter
  readonly #onSilent: (nodeId: string) => void
  /** Nodes with a session. */
  readonly #watched = new Map<string, Watched>()
  /** Timers of nodes without one: until they count as down, or until their tasks are orphans. */
  readonly #waits = new Map<string, Wait>()
  readonly #brake: Brake
  #periodMs = 0
  #stopped = false

  /** @param onSilent told of a node with a session of which nothing is heard any more. */
  constructor(env: Env, view: View, writer: StoreWriter, onSilent: (nodeId: string) => void) {
    this.#env = env
    this.#view = view
    this.#writer = writer
    this.#onSilent = onSilent
    this.#brake = new Brake(env, view, () => this.#release())
  }

  /** Takes over from another leader: nobody knows yet who lives. */
  start(heartbeatPeriodMs: number): void {
    this.#periodMs = heartbeatPeriodMs
    for (const node of this.#view.nodes.list()) {
      if (node.status.state === 'down') {
        if (node.status.tasksHeldUntilMs !== undefined) this.#brake.hold(node.status.tasksHeldUntilMs)
        this.#awaitOrphaning(node)
        continue
      }
      if (node.status.state !== 'unknown') {
        const message = `Node moved to "unknown" state due to leadership change in cluster`
        this.#write(node.id, { state: 'unknown', message })
      }
      this.#wait(node.id, 'unknown', unknownGracePeriods * heartbeatPeriodMs, () => {
        this.#vanished(node.id, 'unknown', 'heartbeat failure for node in "unknown" state')
      })
    }
  }

  stop(): void {
    this.#stopped = true
    for (const { cancelTimer } of this.#watched.values()) cancelTimer()
    for (const { cancel } of this.#waits.values()) cancel()
    this.#brake.stop()
    this.#watched.clear()
    this.#waits.clear()
  }

  /** The node has a session. Resolves once that is committed. */
  async opened(nodeId: string, addr: string, description: NodeDescription, periodMs: number): Promise<void> {
    this.#endWait(nodeId)
    this.#watched.get(nodeId)?.cancelTimer()
    this.#brake.returned(nodeId)
    this.#periodMs = periodMs
    const watched: Watched = {
      periodMs,
      lastHeardMs: this.#env.monotonicMs(),
      allowedSilenceMs: missedHeartbeats * periodMs,
      timerDueMs: 0,
      cancelTimer: () => undefined,
    }
    this.#watched.set(nodeId, watched)
    this.#guard(nodeId, watched, watched.allowedSilenceMs)
    await this.#writer.write((tx) => {
      const node = tx.nodes.get(nodeId)
      if (node === undefined || this.#watched.get(nodeId) !== watched) return
      const { state, addr: knownAddr } = node.status
      const same = state === 'ready' && knownAddr === addr
      if (same && isDeepStrictEqual(node.description, description)) return
      const status = same
        ? node.status
        : { state: 'ready' as const, message: '', addr, sinceMs: this.#env.nowMs() }
      tx.update('nodes', nodeId, { status, description })
    })
  }

  /** Anything came from the node. `periodMs` is the time to its next heartbeat. */
  heard(nodeId: string, periodMs?: number): void {
    const watched = this.#watched.get(nodeId)
    if (watched === undefined) return
    watched.lastHeardMs = this.#env.monotonicMs()
    if (periodMs === undefined) return
    watched.allowedSilenceMs = missedHeartbeats * periodMs
    // Only a period that became much shorter than it was is worth another timer.
    const lateMs = watched.timerDueMs - (watched.lastHeardMs + watched.allowedSilenceMs)
    if (lateMs <= periodMs) return
    watched.cancelTimer()
    this.#guard(nodeId, watched, watched.allowedSilenceMs)
  }

  /** The session ended without word of the node's end. */
  lost(nodeId: string): void {
    this.#unwatch(nodeId)
    this.#wait(nodeId, 'lost', reconnectGraceMs, () => this.#vanished(nodeId, 'lost', 'heartbeat failure'))
  }

  /** Other managers saw these nodes' connections break; they may have come to this one since. */
  lostBefore(nodes: readonly LostNode[]): void {
    for (const { nodeId, agoMs } of nodes) {
      if (this.#waits.get(nodeId)?.for !== 'unknown') continue
      const leftMs = Math.max(leastGraceMs, reconnectGraceMs - agoMs)
      this.#wait(nodeId, 'lost', leftMs, () => this.#vanished(nodeId, 'lost', 'heartbeat failure'))
    }
  }

  /** The node said that it goes. It may still report on its tasks. */
  left(nodeId: string): void {
    this.#unwatch(nodeId)
    this.#endWait(nodeId)
    this.#down(nodeId, 'the node left the swarm')
  }

  /** The node is no more. */
  removed(nodeId: string): void {
    this.#unwatch(nodeId)
    this.#endWait(nodeId)
  }

  describe(nodeId: string, description: NodeDescription): Promise<void> {
    return this.#writer.write((tx) => {
      const node = tx.nodes.get(nodeId)
      if (node === undefined || isDeepStrictEqual(node.description, description)) return
      tx.update('nodes', nodeId, { description })
    })
  }

  /** One timer per node: it looks again when a heartbeat has come since. */
  #guard(nodeId: string, watched: Watched, delayMs: number): void {
    watched.timerDueMs = this.#env.monotonicMs() + delayMs
    watched.cancelTimer = this.#after(delayMs, () => {
      const silentMs = this.#env.monotonicMs() - watched.lastHeardMs
      if (silentMs < watched.allowedSilenceMs) {
        this.#guard(nodeId, watched, watched.allowedSilenceMs - silentMs)
        return
      }
      this.#unwatch(nodeId)
      this.#vanished(nodeId, 'lost', 'heartbeat failure')
      this.#onSilent(nodeId)
    })
  }

  /**
   * As `Env.after`, but a process that was suspended, or a machine that slept, does not take everybody for
   * dead: what the nodes sent meanwhile is read first.
   */
  #after(delayMs: number, fn: () => void): () => void {
    const dueMs = this.#env.monotonicMs() + delayMs
    let cancel = this.#env.after(delayMs, () => {
      if (this.#env.monotonicMs() - dueMs < lateMs) fn()
      else cancel = this.#env.after(resumeGraceMs, fn)
    })
    return () => cancel()
  }

  #unwatch(nodeId: string): void {
    this.#watched.get(nodeId)?.cancelTimer()
    this.#watched.delete(nodeId)
  }

  #wait(nodeId: string, what: Wait['for'], delayMs: number, fn: () => void): void {
    this.#endWait(nodeId)
    if (this.#stopped) return
    const cancel = this.#after(delayMs, () => {
      this.#waits.delete(nodeId)
      fn()
    })
    this.#waits.set(nodeId, { for: what, cancel })
  }

  #endWait(nodeId: string): void {
    this.#waits.get(nodeId)?.cancel()
    this.#waits.delete(nodeId)
  }

  /** The node is down without a word. With many others, its tasks stay where they are for a while. */
  #vanished(nodeId: string, why: 'lost' | 'unknown', message: string): void {
    const suspects = this.#suspects(why)
    const present = this.#watched.size - suspects.filter((id) => this.#watched.has(id)).length
    const heldUntilMs = this.#brake.vanished(nodeId, suspects, present, this.#periodMs)
    this.#down(nodeId, message, heldUntilMs)
  }

  /**
   * Nodes whose time is not up yet, but of which nothing is heard: their connections broke, or a heartbeat is
   * missing. After a change of leader those count that have not come, once their time is up.
   */
  #suspects(why: 'lost' | 'unknown'): readonly string[] {
    const nowMs = this.#env.monotonicMs()
    const waiting = [...this.#waits].filter(([, wait]) => wait.for === why || wait.for === 'lost')
    const silent = [...this.#watched].filter(
      ([, { lastHeardMs, periodMs }]) => nowMs - lastHeardMs > missedBeats * periodMs,
    )
    return [...waiting, ...silent].map(([nodeId]) => nodeId)
  }

  /** Enough waited: what ran on nodes that are still down may move. */
  #release(): void {
    for (const { id, status } of this.#view.nodes.list()) {
      if (status.tasksHeldUntilMs === undefined) continue
      this.#writer
        .write((tx) => {
          const node = tx.nodes.get(id)
          if (node?.status.tasksHeldUntilMs === undefined) return
          const { tasksHeldUntilMs: _over, ...rest } = node.status
          tx.update('nodes', id, { status: rest })
        })
        .catch((error: unknown) => {
          this.#env.log.warn({ node: id, err: errorText(error) }, 'could not let the tasks of the node move')
        })
    }
  }

  #down(nodeId: string, message: string, tasksHeldUntilMs?: number): void {
    this.#env.log.warn({ node: nodeId, reason: message }, 'node is down')
    this.#write(nodeId, {
      state: 'down',
      message,
      ...(tasksHeldUntilMs !== undefined && { tasksHeldUntilMs }),
    })
  }

  #write(
    nodeId: string,
    { state, message, tasksHeldUntilMs }: Pick<Node['status'], 'state' | 'message' | 'tasksHeldUntilMs'>,
  ): void {
    this.#writer
      .write((tx) => {
        const node = tx.nodes.get(nodeId)
        // A session that came meanwhile knows better.
        if (node === undefined || node.status.state === state || this.#watched.has(nodeId)) return
        const { tasksHeldUntilMs: _former, ...status } = node.status
        tx.update('nodes', nodeId, {
          status: {
            ...status,
            state,
            message,
            sinceMs: this.#env.nowMs(),
            ...(tasksHeldUntilMs !== undefined && { tasksHeldUntilMs }),
          },
        })
      })
      .then(() => {
        const node = this.#view.nodes.get(nodeId)
        if (node?.status.state === 'down' && !this.#watched.has(nodeId)) this.#awaitOrphaning(node)
      })
      .catch((error: unknown) => {
        // Only lost leadership does this; the next leader finds out by itself.
        this.#env.log.warn({ node: nodeId, err: errorText(error) }, `could not mark the node as ${state}`)
      })
  }

  /** The clock runs from when the node went down, whoever led since then. */
  #awaitOrphaning(node: Node): void {
    const downMs = this.#env.nowMs() - (node.status.sinceMs ?? this.#env.nowMs())
    this.#wait(node.id, 'down', Math.max(0, orphanAfterMs - downMs), () => this.#orphan(node.id))
  }

  #orphan(nodeId: string): void {
    for (const { id, status } of this.#view.tasks.by('node', nodeId)) {
      if (!canBeOrphan(status.state)) continue
      this.#writer
        .write((tx) => {
          const task = tx.tasks.get(id)
          if (task === undefined || !canBeOrphan(task.status.state) || this.#watched.has(nodeId)) return
          const message = 'Task belonged to a node that was down for 24 hours'
          tx.update('tasks', id, {
            status: { ...task.status, state: TaskState.Orphaned, timestampMs: this.#env.nowMs(), message },
          })
        })
        .catch((error: unknown) => {
          this.#env.log.warn({ task: id, err: errorText(error) }, 'could not orphan the task')
        })
    }
  }
}

function canBeOrphan(state: TaskState): boolean {
  return state >= TaskState.Assigned && state <= TaskState.Running
}
