import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { readIfPresent, replaceFile, syncFolder } from '../../ca/durable-file.js'
import { errorText } from '../../model/errors.js'
import type { WholeFile } from '../../raft/index.js'

const StateSchema = Type.Object({
  listenAddr: Type.String(),
  advertiseAddr: Type.String(),
  /** The managers that it knew last. */
  managers: Type.Array(Type.Object({ nodeId: Type.String(), addr: Type.String() })),
})

/** What a witness remembers of its place in the network. */
export type WitnessState = Readonly<Static<typeof StateSchema>>

/** The files of a witness: `DATA_ROOT/witness`. */
export class WitnessDirectory {
  readonly path: string

  constructor(dataRoot: string) {
    this.path = join(dataRoot, 'witness')
  }

  get certificates(): string {
    return join(this.path, 'certificates')
  }

  /** Term, vote, and where the log ends. */
  get vote(): WholeFile {
    const path = this.#votePath
    return { read: () => readIfPresent(path), replace: (text) => replaceFile(path, text, 0o600) }
  }

  /** For a member that is none any more. */
  async forgetVote(): Promise<void> {
    await rm(this.#votePath, { force: true })
    await syncFolder(this.path)
  }

  create(): void {
    mkdirSync(this.certificates, { recursive: true, mode: 0o700 })
  }

  /** @throws {Error} when the file is damaged. */
  async readState(): Promise<WitnessState | undefined> {
    const text = await readIfPresent(this.#statePath)
    if (text === undefined) return undefined
    try {
      const state: unknown = JSON.parse(text)
      if (Value.Check(StateSchema, state)) return state
    } catch (error) {
      throw new Error(`cannot read ${this.#statePath}: ${errorText(error)}`, { cause: error })
    }
    throw new Error(`cannot read ${this.#statePath}: it is not a witness's state`)
  }

  writeState(state: WitnessState): Promise<void> {
    return replaceFile(this.#statePath, `${JSON.stringify(state, undefined, 2)}\n`, 0o600)
  }

  get #votePath(): string {
    return join(this.path, 'vote.json')
  }

  get #statePath(): string {
    return join(this.path, 'state.json')
  }
}
