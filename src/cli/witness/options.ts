import { hostname } from 'node:os'
import { parseFlags } from '../flags.js'

export const usage = `Usage: skep witness --data-root DIR --join-token TOKEN --manager HOST:PORT [OPTIONS]

The third vote of a swarm with two managers: with it the swarm goes on writing when either of them dies. It
holds none of the swarm's data, and needs little memory and a few kilobytes of disk: a router or a NAS will do.
It should share neither machine nor switch with the managers. There is one at most.

It shows up in \`docker node ls\` as a drained manager. To take it out, stop it and use \`docker node rm\`.

Options:
      --data-root DIR              Where it keeps its certificate and its vote
      --join-token TOKEN           Manager token, for the first start: docker swarm join-token -q manager
      --manager HOST:PORT          Cluster port of a manager, for the first start (port 2377 if none is given)
      --listen-addr HOST[:PORT]    Where it listens for the managers (default 0.0.0.0:2377)
      --advertise-addr HOST[:PORT] Where the managers find it (default: where they see it)
      --hostname NAME              Its name in the swarm (default: this machine's)
      --format text|json           How events are printed on stdout, one a line
  -D, --debug                      Log what it does to stderr
  -h, --help                       Print this help`

const flags = {
  'data-root': { type: 'string' },
  'join-token': { type: 'string' },
  manager: { type: 'string' },
  'listen-addr': { type: 'string' },
  'advertise-addr': { type: 'string' },
  hostname: { type: 'string', default: hostname() },
  debug: { type: 'boolean', short: 'D', default: false },
} as const

export interface WitnessOptions {
  readonly dataRoot: string
  /** Undefined for a witness that is a member already. */
  readonly joinToken: string | undefined
  readonly manager: string | undefined
  readonly listenAddr: string | undefined
  readonly advertiseAddr: string | undefined
  readonly hostname: string
  readonly format: 'text' | 'json'
  readonly debug: boolean
}

/**
 * @returns `help` when that is asked for.
 * @throws {Error} in one line, for whatever cannot be used.
 */
export function parseWitnessOptions(args: readonly string[]): WitnessOptions | 'help' {
  if (args.includes('--help') || args.includes('-h')) return 'help'
  const { values, format } = parseFlags(args, flags)
  const dataRoot = values['data-root']
  if (dataRoot === undefined || dataRoot === '') throw new Error('--data-root is needed')
  return {
    dataRoot,
    joinToken: values['join-token'],
    manager: values.manager,
    listenAddr: values['listen-addr'],
    advertiseAddr: values['advertise-addr'],
    hostname: values.hostname,
    format,
    debug: values.debug,
  }
}
