import { readFileSync } from 'node:fs'
import { errorText } from '../../model/errors.js'
import { defaultClusterPort, parseHostPort, type HostPort } from '../../node/addresses.js'
import { memorySize, parseFlags, wholeNumber } from '../flags.js'
import { parseChaos, type ChaosStep } from './chaos.js'
import type { SimNodeShape } from './sim-node.js'

export const usage = `Usage: skep sim --nodes N --join-token TOKEN --manager HOST:PORT [OPTIONS]

Runs N worker nodes (sim-1, sim-2, ...) with simulated engines in one process. Each has its own certificate
and its own session with the managers. They leave the swarm on SIGINT or SIGTERM; a second signal ends the
process at once.

Options:
      --nodes N             How many nodes
      --join-token TOKEN    Worker token: docker swarm join-token -q worker
      --manager HOST:PORT   Cluster port of a manager (port 2377 if none is given)
      --cpus N              CPUs that each node reports (default 4)
      --memory BYTES        Memory that each node reports, such as 512m or 8g (default 8g)
      --label KEY=VALUE     Engine label of each node (may be repeated)
      --seed S              Makes the choices of --chaos the same each time (default 1)
      --chaos FILE          What befalls the nodes once all have joined, a JSON list of
                            {"atMs": N, "action": "crash" | "disconnect" | "return", "nodes": N | ["sim-1"]};
                            "-" reads such objects without atMs from stdin, one a line, for what happens at once
      --format text|json    How events are printed on stdout, one a line
  -D, --debug               Log what the nodes do to stderr
  -h, --help                Print this help`

const flags = {
  nodes: { type: 'string' },
  'join-token': { type: 'string' },
  manager: { type: 'string' },
  cpus: { type: 'string', default: '4' },
  memory: { type: 'string', default: '8g' },
  label: { type: 'string', multiple: true },
  seed: { type: 'string', default: '1' },
  chaos: { type: 'string' },
  debug: { type: 'boolean', short: 'D', default: false },
} as const

export interface SimOptions {
  readonly names: readonly string[]
  readonly token: string
  readonly manager: HostPort
  readonly shape: SimNodeShape
  readonly seed: number
  /** What happens when, or at once as stdin says. */
  readonly chaos: readonly ChaosStep[] | 'stdin'
  readonly format: 'text' | 'json'
  readonly debug: boolean
}

/**
 * @returns `help` when that is asked for.
 * @throws {Error} in one line, for whatever cannot be used.
 */
export function parseSimOptions(args: readonly string[]): SimOptions | 'help' {
  if (args.includes('--help') || args.includes('-h')) return 'help'
  const { values, format } = parseFlags(args, flags)
  const nodes = wholeNumber('nodes', required('nodes', values.nodes), 1)
  const names = Array.from({ length: nodes }, (_, index) => `sim-${index + 1}`)
  const managerText = required('manager', values.manager)
  const manager = parseHostPort(managerText, defaultClusterPort)
  if (manager === undefined || manager.host === '') {
    throw new Error(`invalid --manager "${managerText}": must be HOST:PORT`)
  }
  const cpus = Number(values.cpus)
  if (!(cpus > 0) || !Number.isFinite(cpus))
    throw new Error(`invalid --cpus "${values.cpus}": must be a number above 0`)
  const labels = values.label ?? []
  const wrongLabel = labels.find((label) => !/^[^=]+=/.test(label))
  if (wrongLabel !== undefined) throw new Error(`invalid --label "${wrongLabel}": must be KEY=VALUE`)
  return {
    names,
    token: required('join-token', values['join-token']),
    manager,
    shape: { cpus, memoryBytes: memorySize('memory', values.memory), labels },
    seed: wholeNumber('seed', values.seed, 0),
    chaos: values.chaos === undefined ? [] : readChaos(values.chaos, names),
    format,
    debug: values.debug,
  }
}

function required(flag: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new Error(`--${flag} is needed (see skep sim --help)`)
  return value
}

function readChaos(path: string, names: readonly string[]): SimOptions['chaos'] {
  if (path === '-') return 'stdin'
  try {
    return parseChaos(readFileSync(path, 'utf8'), names)
  } catch (error) {
    throw new Error(`cannot use the chaos file ${path}: ${errorText(error)}`, { cause: error })
  }
}
