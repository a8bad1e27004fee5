import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterNode } from '../lib/cluster.js'
import { DaemonExited } from '../lib/daemon-process.js'
import { eventually } from '../lib/eventually.js'
import type { Cut, Namespaces } from '../lib/namespaces.js'
import type { Lab } from './lab.js'

/** What a fault has done. */
export interface Damage {
  /** When it was done. */
  readonly atMs: number
  /** Managers that cannot serve their clients now. */
  readonly broken: readonly ClusterNode[]
  /** A worker whose tasks must go elsewhere. */
  readonly deadWorker?: ClusterNode
  /** Undoes it, and what an operator has to do besides. Gives what is worth printing. */
  mend(): Promise<string | undefined>
}

export interface Fault {
  readonly name: string
  /** The cluster had to find another leader. */
  readonly losesLeader: boolean
  /** Networks and disks of the nodes' own. */
  readonly needsNamespaces: boolean
  /** What takes time and does no harm yet. */
  prepare?(lab: Lab): Promise<void>
  strike(lab: Lab): Promise<Damage>
}

const pageBytes = 4096

async function start({ skepd }: ClusterNode): Promise<undefined> {
  await skepd.restart('SIGKILL')
  return undefined
}

const killLeader: Fault = {
  name: 'kill-leader',
  losesLeader: true,
  needsNamespaces: false,
  async strike({ leader }) {
    const atMs = performance.now()
    await leader.skepd.kill()
    return { atMs, broken: [leader], mend: () => start(leader) }
  },
}

const killFollower: Fault = {
  name: 'kill-follower',
  losesLeader: false,
  needsNamespaces: false,
  async strike(lab) {
    const follower = lab.someFollower()
    const atMs = performance.now()
    await follower.skepd.kill()
    return { atMs, broken: [follower], mend: () => start(follower) }
  },
}

const killWorker: Fault = {
  name: 'kill-worker',
  losesLeader: false,
  needsNamespaces: false,
  async strike(lab) {
    const worker = await lab.busyWorker()
    const atMs = performance.now()
    await worker.skepd.kill()
    return { atMs, broken: [], deadWorker: worker, mend: () => start(worker) }
  },
}

const killLeaderAndWorker: Fault = {
  name: 'kill-leader-and-worker',
  losesLeader: true,
  needsNamespaces: false,
  async strike(lab) {
    const { leader } = lab
    const worker = await lab.busyWorker()
    const atMs = performance.now()
    await Promise.all([leader, worker].map(({ skepd }) => skepd.kill()))
    return {
      atMs,
      broken: [leader],
      deadWorker: worker,
      mend: async () => {
        await Promise.all([start(leader), start(worker)])
        return undefined
      },
    }
  },
}

const stopLeader: Fault = {
  name: 'sigstop-leader',
  losesLeader: true,
  needsNamespaces: false,
  strike({ leader }) {
    leader.skepd.signal('SIGSTOP')
    return Promise.resolve({
      atMs: performance.now(),
      broken: [leader],
      mend: () => {
        leader.skepd.signal('SIGCONT')
        return Promise.resolve(undefined)
      },
    })
  },
}

/** The leader's packets get lost: all of them, or those in one direction. */
function cutLeader(name: string, what: Cut): Fault {
  return {
    name,
    losesLeader: true,
    needsNamespaces: true,
    strike(lab) {
      const { leader } = lab
      const host = lab.hostOf(leader)
      lab.namespaces.cut(host, what)
      return Promise.resolve({
        atMs: performance.now(),
        broken: [leader],
        mend: () => {
          lab.namespaces.heal(host)
          return Promise.resolve(undefined)
        },
      })
    },
  }
}

/** One follower and the leader do not reach each other; both reach the third manager. */
const cutOneLink: Fault = {
  name: 'cut-one-link',
  losesLeader: false,
  needsNamespaces: true,
  strike(lab) {
    const follower = lab.someFollower()
    const host = lab.hostOf(lab.leader)
    lab.namespaces.cut(host, 'both', lab.hostOf(follower))
    return Promise.resolve({
      atMs: performance.now(),
      broken: [follower],
      mend: () => {
        lab.namespaces.heal(host)
        return Promise.resolve(undefined)
      },
    })
  },
}

/** Its data root moves to a disk of 64 MiB first, and back again later. */
class SmallDisk {
  readonly #namespaces: Namespaces
  readonly #host: number
  readonly #node: ClusterNode
  readonly #root: string
  readonly #small: string

  constructor(lab: Lab, node: ClusterNode) {
    this.#namespaces = lab.namespaces
    this.#host = lab.hostOf(node)
    this.#node = node
    this.#root = node.skepd.dataRoot
    this.#small = join(node.skepd.dir, 'small')
  }

  async moveIn(): Promise<void> {
    await this.#node.skepd.kill('SIGTERM')
    mkdirSync(this.#small)
    this.#run(`mount -t tmpfs -o size=64m tmpfs ${this.#small}`)
    this.#run(`cp -a ${this.#root}/. ${this.#small}`)
    this.#run(`mount --bind ${this.#small} ${this.#root}`)
    await this.#node.skepd.restart()
  }

  fill(): void {
    const file = openSync(this.#filler, 'w')
    try {
      for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) writeUntilFull(file, Buffer.alloc(bytes))
    } finally {
      closeSync(file)
    }
  }

  makeRoom(): void {
    rmSync(this.#filler)
  }

  async moveOut(): Promise<void> {
    await this.#node.skepd.kill('SIGTERM')
    this.#run(`umount ${this.#root}`)
    this.#run(`rm -rf ${this.#root}`)
    this.#run(`cp -a ${this.#small}/. ${this.#root}`)
    this.#run(`umount ${this.#small}`)
    rmSync(this.#small, { recursive: true })
    await this.#node.skepd.restart()
  }

  get #filler(): string {
    return this.#namespaces.path(this.#host, join(this.#root, 'filler'))
  }

  #run(line: string): void {
    this.#namespaces.run(this.#host, line)
  }
}

function writeUntilFull(file: number, content: Buffer): void {
  try {
    for (;;) writeSync(file, content)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

/** A follower that cannot write its log any more must not say that it did. */
function fullDisk(): Fault {
  const prepared: { disk?: SmallDisk; follower?: ClusterNode } = {}
  return {
    name: 'full-disk-follower',
    losesLeader: false,
    needsNamespaces: true,
    async prepare(lab) {
      const follower = lab.someFollower()
      const disk = new SmallDisk(lab, follower)
      await disk.moveIn()
      Object.assign(prepared, { disk, follower })
    },
    async strike(lab) {
      const { disk, follower } = prepared
      if (disk === undefined || follower === undefined) throw new Error('there is no disk to fill up')
      const atMs = performance.now()
      disk.fill()
      return {
        atMs,
        broken: [follower],
        mend: async () => {
          await follower.skepd.exit(60_000)
          const line = complaint(lab, follower, /cannot write.*(full|space)/i)
          disk.makeRoom()
          await disk.moveOut()
          return line
        },
      }
    },
  }
}

/** The last page of its database is garbage: it says so and keeps out, or gets everything from the others. */
const corruptFollower: Fault = {
  name: 'corrupt-last-page',
  losesLeader: false,
  needsNamespaces: false,
  async strike(lab) {
    const follower = lab.someFollower()
    const atMs = performance.now()
    await follower.skepd.kill('SIGTERM')
    const path = join(follower.skepd.dataRoot, 'swarm/raft/manager.db')
    const file = openSync(path, 'r+')
    const { size } = statSync(path)
    const garbage = Buffer.from(Array.from({ length: pageBytes }, () => Math.floor(lab.random() * 256)))
    writeSync(file, garbage, 0, pageBytes, size - pageBytes)
    closeSync(file)
    return { atMs, broken: [follower], mend: () => recoverFromCorruption(lab, follower) }
  },
}

async function recoverFromCorruption(lab: Lab, follower: ClusterNode): Promise<string | undefined> {
  try {
    await follower.skepd.restart()
  } catch (error) {
    if (!(error instanceof DaemonExited)) throw error
    throw new Error('the daemon of a manager whose database is damaged does not start', { cause: error })
  }
  const outcome = await eventually(
    'the damaged manager to refuse, or to be back',
    async () => {
      const { Swarm } = (await follower.skepd.request('GET', '/info')).json() as {
        Swarm: { LocalNodeState: string; Error: string }
      }
      if (Swarm.LocalNodeState === 'error') return { refusal: Swarm.Error }
      return (await lab.isBack(follower)) && { refusal: undefined }
    },
    60_000,
  )
  if (outcome.refusal === undefined) return 'recovered by itself'
  if (!/^the database .*manager\.db of this manager is damaged: /.test(outcome.refusal)) {
    lab.history.report(`${follower.name}: a damaged database is refused with: ${outcome.refusal}`)
  }
  await lab.replace(follower)
  return `refused: ${outcome.refusal}`
}

/** The line in which a daemon said why it ended. */
function complaint(lab: Lab, node: ClusterNode, pattern: RegExp): string {
  const log = node.skepd.log()
  const line = log.split('\n').find((line) => pattern.test(line))
  if (line === undefined) lab.history.report(`${node.name} ended without saying why:\n${log.slice(-2000)}`)
  return line ?? ''
}

/** All kinds. */
export const faults: readonly Fault[] = [
  killLeader,
  killFollower,
  killWorker,
  killLeaderAndWorker,
  stopLeader,
  cutLeader('partition-leader', 'both'),
  cutLeader('deafen-leader', 'in'),
  cutLeader('mute-leader', 'out'),
  cutOneLink,
  fullDisk(),
  corruptFollower,
]
