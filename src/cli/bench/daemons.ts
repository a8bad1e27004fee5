import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Target } from './target.js'

/** Daemons that exist only for a measurement, each the manager of an empty swarm. */
export interface PrivateDaemons {
  readonly targets: readonly Target[]
  /** Why there is no dockerd among them. */
  readonly without: string | undefined
  stop(): Promise<void>
}

const skepdPath = fileURLToPath(new URL('../../main.js', import.meta.url))
const startTimeoutMs = 60_000

/** @throws {Error} with the daemon's last words when one does not come up. */
export async function startPrivateDaemons(): Promise<PrivateDaemons> {
  const folder = mkdtempSync(join(tmpdir(), 'skep-bench-'))
  const children: ChildProcess[] = []
  const targets: Target[] = []
  const stop = async () => {
    for (const target of targets) target.close()
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
    rmSync(folder, { recursive: true, force: true })
  }
  const start = async (name: string, socket: string, command: readonly string[]) => {
    const target = new Target(name, `unix://${socket}`)
    targets.push(target)
    await startProcess(target, command, children)
    await initSwarm(target)
  }
  try {
    const skepdSocket = join(folder, 'skepd.sock')
    const skepdFlags = `--host unix://${skepdSocket} --data-root ${join(folder, 'skepd')} --engine simulated`
    await start('skepd', skepdSocket, skepdCommand(skepdFlags))
    const without = whyNoDockerd()
    const dockerdSocket = join(folder, 'dockerd.sock')
    if (without === undefined) await start('dockerd', dockerdSocket, dockerdCommand(folder, dockerdSocket))
    return { targets, without, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function whyNoDockerd(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root'
  const missing = ['dockerd', 'unshare', 'ip'].filter((name) => spawnSync('which', [name]).status !== 0)
  return missing.length === 0 ? undefined : `${missing.join(', ')} not found`
}

/** A dockerd in namespaces of its own, where it may make bridges and firewall rules as it likes. */
function dockerdCommand(folder: string, socket: string): readonly string[] {
  const at = (name: string) => join(folder, 'dockerd', name)
  const isolate = 'unshare --net --mount --pid --fork --kill-child --mount-proc'
  const files = `--pidfile ${at('pid')} --data-root ${at('data')} --exec-root ${at('exec')}`
  return [
    ...isolate.split(' '),
    'sh',
    '-c',
    'ip link set lo up && exec "$@"',
    'sh',
    ...`dockerd --host unix://${socket} ${files} --bridge none`.split(' '),
  ]
}

/** A skepd that is in no swarm. @throws {Error} with its last words when it does not come up. */
export function startDaemon(target: Target, flags: string, children: ChildProcess[]): Promise<ChildProcess> {
  return startProcess(target, skepdCommand(flags), children)
}

function skepdCommand(flags: string): readonly string[] {
  return [process.execPath, skepdPath, ...flags.split(' ')]
}

async function startProcess(
  target: Target,
  [command = '', ...args]: readonly string[],
  children: ChildProcess[],
): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  children.push(child)
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2000)))
  const deadlineMs = performance.now() + startTimeoutMs
  for (;;) {
    try {
      await target.call('GET', '/_ping')
      return child
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        child.kill('SIGKILL')
        throw new Error(`${target.name} did not come up:\n${words}`, { cause: error })
      }
      await delay(50)
    }
  }
}

/** On any free port where the daemon can do that; dockerd's default port is free in its own namespace. */
function initSwarm(target: Target): Promise<void> {
  const port = target.name === 'skepd' ? 0 : 2377
  return target.call('POST', '/swarm/init', { ListenAddr: `127.0.0.1:${port}`, AdvertiseAddr: '127.0.0.1' })
}
