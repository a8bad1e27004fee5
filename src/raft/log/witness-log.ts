import { createHash } from 'node:crypto'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import type { Entry, MemberId, SnapshotMetadata } from '../core/index.js'
import { emptyLogState, type LogBatch, type LogState, type LogStorage } from './log-storage.js'
import { applyBatch, compactState } from './memory-log.js'

/** A small file that is read and replaced as a whole: after a crash it holds the old text or the new. */
export interface WholeFile {
  /** Undefined when it does not exist. */
  read(): Promise<string | undefined>
  /** Resolves when the new text would survive a loss of power. */
  replace(text: string): Promise<void>
}

const MembershipSchema = Type.Object({
  members: Type.Array(
    Type.Object({
      id: Type.String(),
      kind: Type.Union([Type.Literal('voter'), Type.Literal('learner')]),
      witness: Type.Optional(Type.Literal(true)),
      context: Type.String(),
    }),
  ),
  removedIds: Type.Array(Type.String()),
})

const SnapshotSchema = Type.Object({
  index: Type.Integer(),
  term: Type.Integer(),
  membership: MembershipSchema,
})

const FileSchema = Type.Object({
  memberId: Type.String(),
  term: Type.Integer(),
  votedFor: Type.Optional(Type.String()),
  commit: Type.Integer(),
  snapshot: SnapshotSchema,
  staged: Type.Optional(SnapshotSchema),
  /** Only changes of members have data. */
  entries: Type.Array(
    Type.Object({
      index: Type.Integer(),
      term: Type.Integer(),
      kind: Type.Union([Type.Literal('data'), Type.Literal('membership'), Type.Literal('noop')]),
      data: Type.Optional(Type.String()),
    }),
  ),
})

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/**
 * The log of a witness: term, vote, the members, and where its end is. It is so small that each write replaces
 * all of it; what comes during a write shares the next one.
 *
 * The file also names the member, so that a witness which lost its memory cannot come back as the same one.
 */
export class WitnessLog implements LogStorage {
  readonly memberId: MemberId
  readonly #file: WholeFile
  #state: LogState
  #waiting: Waiter[] = []
  #isWriting = false
  #failed: Error | undefined

  private constructor(file: WholeFile, memberId: MemberId, state: LogState) {
    this.#file = file
    this.memberId = memberId
    this.#state = state
  }

  /**
   * Reads the file, or begins a new one for the member `newId`.
   * @throws {Error} when it is damaged: who may have forgotten a vote must not take part.
   */
  static async open(file: WholeFile, newId: () => MemberId): Promise<WitnessLog> {
    const text = await file.read()
    if (text !== undefined) return new WitnessLog(file, ...decode(text))
    const log = new WitnessLog(file, newId(), emptyLogState)
    await log.#write((state) => state)
    return log
  }

  load(): Promise<LogState> {
    return Promise.resolve(this.#state)
  }

  save(batch: LogBatch): Promise<void> {
    return this.#write((state) => applyBatch(state, batch))
  }

  stageSnapshot(snapshot: SnapshotMetadata | undefined): Promise<void> {
    return this.#write((state) => ({ ...state, staged: snapshot }))
  }

  compact(snapshot: SnapshotMetadata): Promise<void> {
    return this.#write((state) => compactState(state, snapshot))
  }

  #write(change: (state: LogState) => LogState): Promise<void> {
    // Nothing is written after what could not be written.
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    this.#state = change(this.#state)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      if (!this.#isWriting) void this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true
    while (this.#waiting.length > 0 && this.#failed === undefined) {
      const group = this.#waiting.splice(0)
      try {
        await this.#file.replace(encode(this.memberId, this.#state))
        for (const { resolve } of group) resolve()
      } catch (error) {
        this.#failed = error instanceof Error ? error : new Error(String(error))
        for (const { reject } of [...group, ...this.#waiting.splice(0)]) reject(this.#failed)
      }
    }
    this.#isWriting = false
  }
}

function encode(memberId: MemberId, { hardState, snapshot, staged, entries }: LogState): string {
  const { term, votedFor, commit } = hardState
  const content: Static<typeof FileSchema> = {
    memberId,
    term,
    ...(votedFor !== undefined && { votedFor }),
    commit,
    snapshot: toJson(snapshot),
    ...(staged !== undefined && { staged: toJson(staged) }),
    entries: entries.map(({ index, term, kind, data }) => ({
      index,
      term,
      kind,
      ...(data.byteLength > 0 && { data: Buffer.from(data).toString('base64') }),
    })),
  }
  const json = JSON.stringify(content)
  return `${checksum(json)}\n${json}\n`
}

/** @throws {Error} when it is not what was written. */
function decode(text: string): [MemberId, LogState] {
  const [sum = '', json = ''] = text.split('\n')
  if (checksum(json) !== sum) throw new Error('the file is damaged')
  const content: unknown = JSON.parse(json)
  if (!Value.Check(FileSchema, content)) throw new Error('the file is of another version')
  const { memberId, term, votedFor, commit, snapshot, staged } = content
  const entries = content.entries.map(({ data, ...entry }): Entry => ({
    ...entry,
    data: Buffer.from(data ?? '', 'base64'),
  }))
  return [memberId, { hardState: { term, votedFor, commit }, snapshot, staged, entries }]
}

function toJson({ index, term, membership }: SnapshotMetadata): Static<typeof SnapshotSchema> {
  return {
    index,
    term,
    membership: { members: [...membership.members], removedIds: [...membership.removedIds] },
  }
}

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex')
}
