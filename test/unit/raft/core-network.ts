import {
  RaftCore,
  type CoreOptions,
  type Entry,
  type Member,
  type Message,
} from '../../../src/raft/core/index.js'
import { seededRandom } from '../../lib/simulated-env.js'

export function voter(id: string): Member {
  return { id, kind: 'voter', context: '' }
}

export function learner(id: string): Member {
  return { id, kind: 'learner', context: '' }
}

export function entry(index: number, term: number, text = ''): Entry {
  return { index, term, kind: text === '' ? 'noop' : 'data', data: Buffer.from(text) }
}

/** A member that starts with `members` and, after them, `entries`. */
export function coreOf(
  id: string,
  members: readonly Member[],
  state: { entries?: readonly Entry[]; term?: number; commit?: number; votedFor?: string } = {},
  options: Partial<CoreOptions> = {},
): RaftCore {
  const random = seededRandom(id.charCodeAt(0))
  return new RaftCore({
    id,
    randomInt: (bound) => Math.floor(random() * bound),
    state: {
      hardState: { term: state.term ?? 0, votedFor: state.votedFor, commit: state.commit ?? 0 },
      snapshot: { index: 0, term: 0, membership: { members, removedIds: [] } },
      entries: state.entries ?? [],
      appliedIndex: 0,
    },
    ...options,
  })
}

/** Cores joined by a network without delay, and disks without delay. */
export class CoreNetwork {
  readonly cores = new Map<string, RaftCore>()
  readonly applied = new Map<string, Entry[]>()
  readonly reads = new Map<string, { context: number; index: number }[]>()
  /** Every message that was sent. */
  readonly sent: Message[] = []
  /** Messages for which this is false are lost. */
  delivers: (message: Message) => boolean = () => true

  constructor(cores: readonly RaftCore[]) {
    for (const core of cores) this.add(core)
    this.settle()
  }

  static of(...ids: readonly string[]): CoreNetwork {
    const members = ids.map(voter)
    return new CoreNetwork(ids.map((id) => coreOf(id, members)))
  }

  add(core: RaftCore): void {
    this.cores.set(core.id, core)
    this.applied.set(core.id, [])
    this.reads.set(core.id, [])
  }

  core(id: string): RaftCore {
    const core = this.cores.get(id)
    if (core === undefined) throw new Error(`no core ${id}`)
    return core
  }

  /** Texts of the data entries that `id` has applied. */
  texts(id: string): string[] {
    const entries = this.applied.get(id) ?? []
    return entries.filter((e) => e.kind === 'data').map((e) => Buffer.from(e.data).toString())
  }

  tick(id: string, count = 1): void {
    for (let i = 0; i < count; i++) {
      this.core(id).tick()
      this.settle()
    }
  }

  tickAll(count = 1): void {
    for (let i = 0; i < count; i++) for (const id of this.cores.keys()) this.tick(id)
  }

  /** Ticks `id` until it campaigns and the others have answered. */
  elect(id: string): void {
    for (let i = 0; i < 25 && this.core(id).role !== 'leader'; i++) this.tick(id)
  }

  propose(id: string, text: string): number {
    const index = this.core(id).propose(Buffer.from(text))
    this.settle()
    return index
  }

  /** Cuts `id` off from all others, or joins everything again. */
  isolate(...ids: readonly string[]): void {
    this.delivers = (message) => ids.includes(message.from) === ids.includes(message.to)
  }

  heal(): void {
    this.delivers = () => true
  }

  /** Delivers until nothing is left to do. */
  settle(): void {
    for (let busy = true; busy;) {
      busy = false
      for (const core of this.cores.values()) {
        const ready = core.ready()
        if (ready === undefined) continue
        busy = true
        this.applied.get(core.id)?.push(...ready.committedEntries)
        this.reads.get(core.id)?.push(...ready.readStates)
        core.advance(ready)
        for (const message of [...ready.messages, ...ready.messagesAfterPersist]) {
          this.sent.push(message)
          if (this.delivers(message)) this.cores.get(message.to)?.step(message)
        }
      }
    }
  }
}
