import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startDaemon } from './daemons.js'
import { Target } from './target.js'

/** What a crowd of workers costs the managers of a cluster, and what a leader that dies costs them. */
export interface WorkerFigures {
  readonly workers: number
  readonly managers: number
  /** From the first request for a certificate to the last session. */
  readonly joinMs: number
  /** Until each worker ran its task. */
  readonly tasksMs: number
  /** Resident memory that came with the workers and their tasks, per worker. */
  readonly leaderBytesPerWorker: number
  readonly otherManagerBytesPerWorker: number
  /** From `kill -9` of the leader to the first answer to a write, and until all workers had a session again. */
  readonly writableMs: number
  readonly reattachedMs: number
  /** Tasks that are not the same as before the leader died, or not RUNNING since before. */
  readonly disturbedTasks: number
}

interface Manager {
  readonly target: Target
  readonly child: ChildProcess
}

interface NodeJson {
  readonly Spec: { readonly Role: string }
  readonly Status: { readonly State: string }
}

interface TaskJson {
  readonly ID: string
  readonly Status: { readonly State: string; readonly Timestamp: string }
}

const skepPath = fileURLToPath(new URL('../main.js', import.meta.url))
const managerCount = 3
const waitMs = 600_000
const pollMs = 100
/** Garbage of starts and joins is to be gone before memory is looked at. */
const settleMs = 5000

/**
 * Makes `workers` simulated workers join a cluster of three managers on this machine, gives each a task, and kills
 * the leader.
 * @param tell what happens, for who watches.
 * @throws {Error} when something takes ten minutes; where the machine has no `/proc`, memory is NaN.
 */
export async function benchWorkers(workers: number, tell: (line: string) => void): Promise<WorkerFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'skep-bench-'))
  const children: ChildProcess[] = []
  try {
    const managers = await startCluster(folder, children)
    const [leader, ...others] = managers
    if (leader === undefined) throw new Error('no manager')
    tell(`${managerCount} managers; ${workers} workers join`)
    await delay(settleMs)
    const emptyBytes = managers.map(({ child }) => residentBytes(child))
    const joinMs = await joinCrowd(leader.target, workers, children)
    tell(`joined in ${seconds(joinMs)}; each gets a task`)
    const startMs = performance.now()
    await createService(leader.target, workers)
    await until('all tasks to run', async () => (await runningTasks(leader.target)).size === workers)
    const tasksMs = performance.now() - startMs
    await delay(settleMs)
    const [leaderBytes = NaN, ...otherBytes] = managers.map(
      ({ child }, index) => (residentBytes(child) - (emptyBytes[index] ?? NaN)) / workers,
    )
    const before = await runningTasks(leader.target)
    tell('the leader is killed')
    const failover = await killLeader(leader, others, workers)
    const after = await runningTasks(failover.target)
    return {
      workers,
      managers: managerCount,
      joinMs,
      tasksMs,
      leaderBytesPerWorker: leaderBytes,
      otherManagerBytesPerWorker: otherBytes.reduce((sum, bytes) => sum + bytes, 0) / otherBytes.length,
      writableMs: failover.writableMs,
      reattachedMs: failover.reattachedMs,
      disturbedTasks: [...before].filter(([id, sinceText]) => after.get(id) !== sinceText).length,
    }
  } finally {
    // The crowd first: its nodes need not leave in order, and nobody is asked for that.
    for (const child of children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The figures as lines for people. */
export function workerLines(figures: WorkerFigures): readonly string[] {
  const row = (name: string, value: string) => `${name.padEnd(44)}${value.padStart(12)}`
  return [
    row('workers on three managers', String(figures.workers)),
    row('all join', seconds(figures.joinMs)),
    row('a task on each runs', seconds(figures.tasksMs)),
    row('memory per worker, leader', kilobytes(figures.leaderBytesPerWorker)),
    row('memory per worker, each other manager', kilobytes(figures.otherManagerBytesPerWorker)),
    row('leader killed: writable again', seconds(figures.writableMs)),
    row('leader killed: all workers attached again', seconds(figures.reattachedMs)),
    row('tasks that were disturbed', String(figures.disturbedTasks)),
  ]
}

/** Three managers on loopback addresses of their own; the first one leads. */
async function startCluster(folder: string, children: ChildProcess[]): Promise<readonly Manager[]> {
  const managers: Manager[] = []
  for (let number = 1; number <= managerCount; number++) {
    const socket = join(folder, `manager-${number}.sock`)
    const flags = `--host unix://${socket} --data-root ${join(folder, `manager-${number}`)} --engine simulated`
    const target = new Target(`manager-${number}`, `unix://${socket}`)
    managers.push({
      target,
      child: await startDaemon(target, `${flags} --hostname manager-${number}`, children),
    })
  }
  const [first, ...others] = managers
  if (first === undefined) throw new Error('no manager')
  const addresses = (number: number) => ({
    ListenAddr: `127.0.0.${number}:0`,
    AdvertiseAddr: `127.0.0.${number}`,
  })
  await first.target.call('POST', '/swarm/init', addresses(1))
  const request = {
    RemoteAddrs: [await clusterAddr(first.target)],
    JoinToken: await joinToken(first.target, 'Manager'),
  }
  for (const [index, { target }] of others.entries())
    await target.call('POST', '/swarm/join', { ...addresses(index + 2), ...request })
  return managers
}

async function clusterAddr(target: Target): Promise<string> {
  const info = (await target.json('GET', '/info')) as {
    readonly Swarm: { readonly RemoteManagers: readonly { readonly Addr: string }[] }
  }
  return info.Swarm.RemoteManagers[0]?.Addr ?? ''
}

async function joinToken(target: Target, role: 'Manager' | 'Worker'): Promise<string> {
  const swarm = (await target.json('GET', '/swarm')) as {
    readonly JoinTokens: Readonly<Record<string, string>>
  }
  return swarm.JoinTokens[role] ?? ''
}

/** @returns how long the crowd took, in ms. */
async function joinCrowd(target: Target, workers: number, children: ChildProcess[]): Promise<number> {
  const where = ['--manager', await clusterAddr(target), '--join-token', await joinToken(target, 'Worker')]
  const args = [skepPath, 'sim', '--nodes', String(workers), ...where, '--format', 'json']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { readonly event: string; readonly durationMs: number }
    if (event.event === 'joined') return event.durationMs
  }
  throw new Error('the crowd did not join')
}

function createService(target: Target, replicas: number): Promise<void> {
  return target.call('POST', '/services/create', {
    Name: 'crowd',
    TaskTemplate: {
      ContainerSpec: { Image: 'busybox', Command: ['sleep', '1000000'] },
      Placement: { Constraints: ['node.role==worker'], MaxReplicas: 1 },
    },
    Mode: { Replicated: { Replicas: replicas } },
  })
}

/** When each task that runs began to, by ID. */
async function runningTasks(target: Target): Promise<ReadonlyMap<string, string>> {
  const tasks = (await target.json('GET', '/tasks')) as readonly TaskJson[]
  const running = tasks.filter(({ Status }) => Status.State === 'running')
  return new Map(running.map(({ ID, Status }) => [ID, Status.Timestamp]))
}

async function killLeader(leader: Manager, others: readonly Manager[], workers: number) {
  const startMs = performance.now()
  leader.child.kill('SIGKILL')
  const [target] = others.map((manager) => manager.target)
  if (target === undefined) throw new Error('no other manager')
  await until('a new leader', async () => {
    await target.call('POST', '/configs/create', { Name: 'after', Data: 'eA==' })
    return true
  })
  const writableMs = performance.now() - startMs
  await until('all workers to be attached', async () => {
    const nodes = (await target.json('GET', '/nodes')) as readonly NodeJson[]
    const attached = nodes.filter(({ Spec, Status }) => Spec.Role === 'worker' && Status.State === 'ready')
    return attached.length === workers
  })
  return { target, writableMs, reattachedMs: performance.now() - startMs }
}

/** Asks until it is so; what fails is asked again. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + waitMs
  let last: unknown
  while (performance.now() < endMs) {
    try {
      if (await isSo()) return
    } catch (error) {
      last = error
    }
    await delay(pollMs)
  }
  throw new Error(`waited ten minutes in vain for ${what}`, { cause: last })
}

function residentBytes({ pid }: ChildProcess): number {
  try {
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kibibytes) * 1024
  } catch {
    return NaN
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}
