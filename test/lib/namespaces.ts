import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Site } from './cluster.js'
import { DaemonProcess } from './daemon-process.js'
import { eventually } from './eventually.js'

/** What a host no longer gets (`in`), no longer says (`out`), or both. */
export type Cut = 'in' | 'out' | 'both'

/**
 * Hosts with a network of their own, joined by a bridge: 10.201.0.1, 10.201.0.2, … Needs `netns`.
 *
 * Each host is a network and a mount namespace, held by a process that dies with the test; the bridge has one
 * of its own, too. So nothing of it is seen or left behind outside, and all hosts may use the same ports.
 */
export class Namespaces {
  readonly #switch: DaemonProcess
  readonly #hosts: readonly DaemonProcess[]

  private constructor(holder: DaemonProcess, hosts: readonly DaemonProcess[]) {
    this.#switch = holder
    this.#hosts = hosts
  }

  static async create(count: number): Promise<Namespaces> {
    const namespaces = new Namespaces(hold(), Array.from({ length: count }, hold))
    try {
      await namespaces.#connect()
      return namespaces
    } catch (error) {
      await namespaces.stop()
      throw error
    }
  }

  /** Where the daemons of a cluster live. They die with the test, too. */
  get sites(): readonly Site[] {
    return this.#hosts.map((_, index) => ({
      address: addressOf(index + 1),
      wrap: (command, ...args) => [
        'setpriv',
        ['--pdeathsig', 'KILL', 'nsenter', ...this.#enter(index + 1), command, ...args],
      ],
    }))
  }

  /** Runs a command on a host (from 1), and gives its stdout. @throws when it fails. */
  run(host: number, line: string, input = ''): string {
    return output('nsenter', [...this.#enter(host), ...line.split(' ')], input)
  }

  /** Packets of a host that are dropped from now on: all of them, or those from and to `peer`. */
  cut(host: number, what: Cut, peer?: number): void {
    const only = (field: string) => (peer === undefined ? '' : `ip ${field} ${addressOf(peer)} `)
    const chain = (name: string, rule: string) =>
      `chain ${name} { type filter hook ${name} priority 0; ${rule}; }`
    const chains = [
      ...(what === 'out' ? [] : [chain('input', `iifname != "lo" ${only('saddr')}drop`)]),
      ...(what === 'in' ? [] : [chain('output', `oifname != "lo" ${only('daddr')}drop`)]),
    ]
    this.run(host, 'nft -f -', `table inet cut {\n${chains.join('\n')}\n}\n`)
  }

  heal(host: number): void {
    this.run(host, 'nft delete table inet cut')
  }

  /** A file of a host, as it is found from here. */
  path(host: number, path: string): string {
    return join('/proc', String(this.#holder(host).pid), 'root', path)
  }

  async stop(): Promise<void> {
    const holders = [...this.#hosts, this.#switch]
    for (const holder of holders) holder.signal('SIGKILL')
    await Promise.all(holders.map((holder) => holder.exit()))
  }

  async #connect(): Promise<void> {
    const holders = [this.#switch, ...this.#hosts]
    await eventually('the namespaces', () =>
      holders.every((holder) => {
        holder.assertRunning()
        return readFileSync(`/proc/${holder.pid}/comm`, 'utf8').trim() === 'sleep'
      }),
    )
    const bridge = (line: string) =>
      output('nsenter', ['--target', String(this.#switch.pid), '--net', 'ip', ...line.split(' ')])
    bridge('link add br0 type bridge')
    bridge('link set br0 up')
    for (const [index, { pid }] of this.#hosts.entries()) {
      const host = index + 1
      bridge(`link add port${host} type veth peer name eth0 netns ${pid}`)
      bridge(`link set port${host} master br0 up`)
      this.run(host, 'ip link set lo up')
      this.run(host, `ip addr add ${addressOf(host)}/24 dev eth0`)
      this.run(host, 'ip link set eth0 up')
    }
  }

  #enter(host: number): readonly string[] {
    return ['--target', String(this.#holder(host).pid), '--net', '--mount']
  }

  #holder(host: number): DaemonProcess {
    const holder = this.#hosts[host - 1]
    if (holder === undefined) throw new Error(`there is no host ${host}`)
    return holder
  }
}

function addressOf(host: number): string {
  return `10.201.0.${host}`
}

function hold(): DaemonProcess {
  const line = '--pdeathsig KILL unshare --net --mount --propagation slave sleep infinity'
  return new DaemonProcess('namespace', 'setpriv', line.split(' '))
}

function output(command: string, args: readonly string[], input = ''): string {
  const done = spawnSync(command, args, { encoding: 'utf8', input })
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`)
  return done.stdout
}
