import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
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
  /** What the user said to announce: an address, an interface, a name, or nothing. */
  advertiseFrom: Type.Optional(Type.String()),
  /** This manager's ID in the raft cluster, in decimal. Never used again after removal. */
  raftMemberId: Type.Optional(Type.String()),
  /** This manager's next start makes a cluster of its own out of its data: the others are gone for good. */
  newCluster: Type.Optional(Type.Boolean()),
  /** The managers that this node knew last. */
  managers: Type.Optional(Type.Array(Type.Object({ nodeId: Type.String(), addr: Type.String() }))),
})

export type NodeState = Readonly<Static<typeof NodeStateSchema>>

const copyPrefix = 'backup-'

/** The files of a node's membership: `DATA_ROOT/swarm`. */
export class SwarmDirectory {
  readonly path: string

  constructor(dataRoot: string) {
    this.path = join(dataRoot, 'swarm')
  }

  get certificates(): string {
    return join(this.path, 'certificates')
  }

  get keyFile(): string {
    return join(this.certificates, 'swarm-node.key')
  }

  /** Where the database is copied to for a backup; see `removeLeftovers`. */
  backupCopy(id: string): string {
    return join(dirname(this.managerDatabase), `${copyPrefix}${id}.db`)
  }

  get managerDatabase(): string {
    return join(this.path, 'raft', 'manager.db')
  }

  get workerDatabase(): string {
    return join(this.path, 'worker', 'tasks.db')
  }

  /**
   * Begins what makes this node a member: until `complete`, a crash leaves what counts as nothing. What lies
   * there of an earlier attempt goes.
   * @throws {SwarmError} FailedPrecondition for a swarm's data that cannot be from an earlier attempt.
   */
  begin(): void {
    this.create()
    if (this.holdsCertificate) {
      throw new SwarmError(
        'FailedPrecondition',
        `${this.path} holds the data of a swarm without its node-state.json: take it up with "docker swarm init --force-new-cluster", or remove it`,
      )
    }
    this.wipe()
    this.#mark()
    this.create()
  }

  /** What was begun counts from now on. */
  complete(): void {
    rmSync(this.#incompletePath, { force: true })
    syncFile(this.path)
  }

  /** Whether an attempt to become a member was broken off by a crash. */
  get isIncomplete(): boolean {
    return existsSync(this.#incompletePath)
  }

  /** Whether this node is in a swarm, or has its data at least. */
  get holdsCertificate(): boolean {
    return !this.isIncomplete && existsSync(join(this.certificates, 'swarm-node.crt'))
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
    syncFile(this.path)
  }

  /** Copies for backups that a crash broke off. */
  removeLeftovers(): void {
    const folder = dirname(this.managerDatabase)
    if (!existsSync(folder)) return
    for (const name of readdirSync(folder).filter((entry) => entry.startsWith(copyPrefix)))
      rmSync(join(folder, name), { force: true })
  }

  /** What only managers have: for a node that has become a worker. */
  removeManagerFiles(): void {
    rmSync(dirname(this.managerDatabase), { recursive: true, force: true })
  }

  /** Leaves the directory empty: this node is in no swarm any more. */
  wipe(): void {
    // What is left by a crash in the middle counts as nothing.
    this.#mark()
    for (const entry of readdirSync(this.path)) {
      const path = join(this.path, entry)
      if (path !== this.#incompletePath) rmSync(path, { recursive: true, force: true })
    }
    this.complete()
  }

  #mark(): void {
    writeFileSync(this.#incompletePath, '', { mode: 0o600 })
    syncFile(this.path)
  }

  get #incompletePath(): string {
    return join(this.path, 'incomplete')
  }

  get #statePath(): string {
    return join(this.path, 'node-state.json')
  }
}

/** Makes what is in a file durable, or new and removed names in a folder. */
export function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
