import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { SwarmError, errorText } from '../model/errors.js'

/**
 * What a node remembers of how it takes part in its cluster, in `swarm/node-state.json`; the rest is in its
 * certificate (node ID, role, cluster) and, on managers, in the database.
 */
const NodeStateSchema = Type.Object({
  listenAddr: Type.String(),
  advertiseAddr: Type.String(),
  dataPathAddr: Type.String(),
  localAddr: Type.String(),
  /** This manager's ID in the raft cluster, in decimal. Never used again after removal. */
  raftMemberId: Type.Optional(Type.String()),
  /** The managers that this node knew last. */
  managers: Type.Optional(Type.Array(Type.Object({ nodeId: Type.String(), addr: Type.String() }))),
})

export type NodeState = Readonly<Static<typeof NodeStateSchema>>

/** The files of a node's membership: `DATA_ROOT/swarm`. */
export class SwarmDirectory {
  readonly path: string

  constructor(dataRoot: string) {
    this.path = join(dataRoot, 'swarm')
  }

  get certificates(): string {
    return join(this.path, 'certificates')
  }

  get managerDatabase(): string {
    return join(this.path, 'raft', 'manager.db')
  }

  get workerDatabase(): string {
    return join(this.path, 'worker', 'tasks.db')
  }

  create(): void {
    for (const directory of [
      this.path,
      this.certificates,
      dirname(this.managerDatabase),
      dirname(this.workerDatabase),
    ]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    }
  }

  /**
   * Undefined where the node is in no swarm.
   * @throws {SwarmError} Internal when the file is damaged.
   */
  readState(): NodeState | undefined {
    const path = this.#statePath
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    try {
      const state: unknown = JSON.parse(text)
      if (Value.Check(NodeStateSchema, state)) return state
    } catch (error) {
      throw new SwarmError('Internal', `cannot read ${path}: ${errorText(error)}`, { cause: error })
    }
    throw new SwarmError('Internal', `cannot read ${path}: it is not a node's state`)
  }

  /** Replaced as a whole: after a crash there is the old file or the new one. */
  writeState(state: NodeState): void {
    const temporary = `${this.#statePath}.tmp`
    const file = openSync(temporary, 'w', 0o600)
    writeSync(file, JSON.stringify(state, undefined, 2))
    fsyncSync(file)
    closeSync(file)
    renameSync(temporary, this.#statePath)
    const directory = openSync(this.path, 'r')
    fsyncSync(directory)
    closeSync(directory)
  }

  /** What only managers have: for a node that has become a worker. */
  removeManagerFiles(): void {
    rmSync(dirname(this.managerDatabase), { recursive: true, force: true })
  }

  /** Leaves the directory empty: this node is in no swarm any more. */
  wipe(): void {
    // The state goes first: what is left by a crash in the middle counts as nothing.
    rmSync(this.#statePath, { force: true })
    for (const entry of readdirSync(this.path))
      rmSync(join(this.path, entry), { recursive: true, force: true })
  }

  get #statePath(): string {
    return join(this.path, 'node-state.json')
  }
}
