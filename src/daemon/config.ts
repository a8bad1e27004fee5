import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { OptionError, mergeOptions, parseConfigFile, type RawOptions } from './options.js'

/** The daemon's settings, checked, with defaults filled in. */
export interface Config {
  readonly listeners: readonly ListenAddress[]
  readonly dataRoot: string
  readonly pidfile: string | undefined
  readonly engine: string
  readonly hostname: string
  readonly labels: readonly string[]
  readonly genericResources: readonly string[]
  readonly simulated: { readonly cpus: number | undefined; readonly memoryBytes: number | undefined }
  readonly defaultAdvertiseAddr: string | undefined
  readonly tls: TlsFiles | undefined
  readonly debug: boolean
  readonly logLevel: LogLevel
  readonly logFormat: 'text' | 'json'
  readonly shutdownTimeoutMs: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

export interface TlsFiles {
  readonly cert: string
  readonly key: string
  /** Clients must show a certificate of this CA. Absent without `--tlsverify`. */
  readonly clientCa: string | undefined
}

/** What of the machine the defaults depend on. */
export interface Machine {
  readonly isRoot: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
}

const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'fatal']
const defaultTlsPort = 2376
const defaultPort = 2375

/**
 * Turns flags, and the file they name, into settings.
 * @throws {OptionError} with one line for the user.
 */
export function loadConfig(flags: RawOptions, machine: Machine): Config {
  const options = withFile(flags)
  const dataRoot = resolve(options['data-root'] ?? defaultDataRoot(machine))
  const tls = tlsFiles(options)
  const hosts = options.host ?? []
  const listeners = [
    ...hosts.map((host) => parseHost(host, tls !== undefined)),
    ...defaultListeners(dataRoot, hosts),
  ]
  for (const listener of listeners) refuseInsecure(listener, tls, options['allow-insecure-tcp'] ?? false)
  for (const label of options.label ?? []) {
    if (!/^[^=]+=/.test(label)) throw new OptionError(`bad attribute format: ${label} (labels are KEY=VALUE)`)
  }
  return {
    listeners,
    dataRoot,
    pidfile: options.pidfile,
    engine: options.engine ?? 'auto',
    hostname: options.hostname ?? hostname(),
    labels: options.label ?? [],
    genericResources: options['node-generic-resource'] ?? [],
    simulated: { cpus: options['sim-cpus'], memoryBytes: options['sim-memory'] },
    defaultAdvertiseAddr: options['swarm-default-advertise-addr'],
    tls,
    debug: options.debug ?? false,
    logLevel:
      options.debug === true ? 'debug' : oneOf('--log-level', options['log-level'] ?? 'info', logLevels),
    logFormat: oneOf('--log-format', options['log-format'] ?? 'text', ['text', 'json'] as const),
    shutdownTimeoutMs: (options['shutdown-timeout'] ?? 15) * 1000,
  }
}

function withFile(flags: RawOptions): RawOptions {
  const path = flags['config-file']
  if (path === undefined) return flags
  return mergeOptions(flags, path, parseConfigFile(path, readOptionFile(path)))
}

function readOptionFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new OptionError(`cannot read ${path}: ${(error as Error).message}`)
  }
}

function defaultDataRoot({ isRoot, environment }: Machine): string {
  if (isRoot) return '/var/lib/skep'
  return join(environment['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'skep')
}

/** The socket in the data root is always there, unless other unix sockets were asked for. */
function defaultListeners(dataRoot: string, hosts: readonly string[]): readonly ListenAddress[] {
  return hosts.some((host) => host.startsWith('unix://'))
    ? []
    : [{ kind: 'unix', path: join(dataRoot, 'skepd.sock') }]
}

function parseHost(host: string, tls: boolean): ListenAddress {
  const bad = (why: string) => new OptionError(`invalid --host ${host}: ${why}`)
  if (host.startsWith('unix://')) {
    const path = host.slice('unix://'.length)
    if (!path.startsWith('/')) throw bad('the path must be absolute, as in unix:///run/skepd.sock')
    return { kind: 'unix', path }
  }
  const match = /^tcp:\/\/(?:\[([^\]]*)\]|([^:/]*))(?::(\d+))?\/?$/.exec(host)
  if (match === null) throw bad('it must be unix:///path or tcp://address:port')
  const port = match[3] === undefined ? (tls ? defaultTlsPort : defaultPort) : Number(match[3])
  if (port > 65535) throw bad(`${port} is not a port`)
  return {
    kind: 'tcp',
    host: match[1] ?? (match[2] === undefined || match[2] === '' ? '127.0.0.1' : match[2]),
    port,
  }
}

function refuseInsecure(listener: ListenAddress, tls: TlsFiles | undefined, allowed: boolean): void {
  if (listener.kind === 'unix' || allowed || tls?.clientCa !== undefined || isLoopback(listener.host)) return
  throw new OptionError(
    `refusing to listen on tcp://${listener.host}:${listener.port} without client certificates: whoever reaches that port is root on this host. Use --tlsverify with --tlscacert, --tlscert and --tlskey, or --allow-insecure-tcp if something else protects the port`,
  )
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function tlsFiles(options: RawOptions): TlsFiles | undefined {
  const verify = options.tlsverify ?? false
  if (!verify && options.tls !== true) return undefined
  const needed = (flag: 'tlscert' | 'tlskey' | 'tlscacert') => {
    const path = options[flag]
    if (path === undefined) throw new OptionError(`--${verify ? 'tlsverify' : 'tls'} needs --${flag}`)
    return readOptionFile(path)
  }
  return {
    cert: needed('tlscert'),
    key: needed('tlskey'),
    clientCa: verify ? needed('tlscacert') : undefined,
  }
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value)
  if (found === undefined)
    throw new OptionError(`invalid ${flag} "${value}": must be one of ${allowed.join(', ')}`)
  return found
}
