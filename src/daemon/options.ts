import { parseArgs, type ParseArgsConfig } from 'node:util'

/**
 * Everything that can be set on `skepd`: each entry is a flag and, under `configKey`, a member of the
 * configuration file. dockerd's names where dockerd has them.
 */
interface OptionSpec {
  readonly flag: string
  readonly short?: string
  /** In the file, lists have dockerd's plural names. */
  readonly configKey: string
  readonly type: 'string' | 'boolean' | 'list' | 'number'
  readonly value?: string
  readonly help: string
}

const optionSpecs = [
  {
    flag: 'host',
    short: 'H',
    configKey: 'hosts',
    type: 'list',
    value: 'URL',
    help: 'Where the API listens: unix:///path or tcp://address:port (may be repeated)',
  },
  {
    flag: 'data-root',
    configKey: 'data-root',
    type: 'string',
    value: 'DIR',
    help: 'Where all state is kept',
  },
  {
    flag: 'pidfile',
    short: 'p',
    configKey: 'pidfile',
    type: 'string',
    value: 'FILE',
    help: 'File to write the process ID to',
  },
  {
    flag: 'config-file',
    configKey: 'config-file',
    type: 'string',
    value: 'FILE',
    help: 'JSON file with the same settings as these flags',
  },
  {
    flag: 'engine',
    configKey: 'engine',
    type: 'string',
    value: 'ENGINE',
    help: 'auto, simulated or unix:///path/to/engine.sock',
  },
  {
    flag: 'hostname',
    configKey: 'hostname',
    type: 'string',
    value: 'NAME',
    help: "Name of this node (default: the host's)",
  },
  {
    flag: 'label',
    configKey: 'labels',
    type: 'list',
    value: 'KEY=VALUE',
    help: 'Label of this engine (may be repeated)',
  },
  {
    flag: 'node-generic-resource',
    configKey: 'node-generic-resources',
    type: 'list',
    value: 'KIND=VALUE',
    help: 'Generic resource of this node, such as GPU=UUID1 or SSD=3 (may be repeated)',
  },
  {
    flag: 'sim-cpus',
    configKey: 'sim-cpus',
    type: 'number',
    value: 'N',
    help: 'CPUs that the simulated engine reports',
  },
  {
    flag: 'sim-memory',
    configKey: 'sim-memory',
    type: 'number',
    value: 'BYTES',
    help: 'Memory that the simulated engine reports',
  },
  {
    flag: 'swarm-default-advertise-addr',
    configKey: 'swarm-default-advertise-addr',
    type: 'string',
    value: 'ADDR',
    help: 'Address or interface that other nodes reach this one at',
  },
  {
    flag: 'default-address-pool',
    configKey: 'default-address-pools',
    type: 'list',
    value: 'POOL',
    help: 'Address pool for networks: base=CIDR,size=N (may be repeated)',
  },
  { flag: 'tls', configKey: 'tls', type: 'boolean', help: 'Use TLS on TCP listeners' },
  {
    flag: 'tlsverify',
    configKey: 'tlsverify',
    type: 'boolean',
    help: 'Use TLS and require client certificates',
  },
  {
    flag: 'tlscacert',
    configKey: 'tlscacert',
    type: 'string',
    value: 'FILE',
    help: 'CA that client certificates must come from',
  },
  { flag: 'tlscert', configKey: 'tlscert', type: 'string', value: 'FILE', help: "The API's own certificate" },
  { flag: 'tlskey', configKey: 'tlskey', type: 'string', value: 'FILE', help: 'Key of the certificate' },
  {
    flag: 'allow-insecure-tcp',
    configKey: 'allow-insecure-tcp',
    type: 'boolean',
    help: 'Allow TCP without --tlsverify beyond loopback: whoever reaches the port is root',
  },
  {
    flag: 'metrics-addr',
    configKey: 'metrics-addr',
    type: 'string',
    value: 'ADDR',
    help: 'Address and port to serve metrics on',
  },
  {
    flag: 'dashboard',
    configKey: 'dashboard',
    type: 'boolean',
    help: 'Serve the dashboard (--no-dashboard to turn it off)',
  },
  { flag: 'debug', short: 'D', configKey: 'debug', type: 'boolean', help: 'Log debug messages' },
  {
    flag: 'log-level',
    short: 'l',
    configKey: 'log-level',
    type: 'string',
    value: 'LEVEL',
    help: 'debug, info, warn, error or fatal',
  },
  { flag: 'log-format', configKey: 'log-format', type: 'string', value: 'FORMAT', help: 'text or json' },
  {
    flag: 'shutdown-timeout',
    configKey: 'shutdown-timeout',
    type: 'number',
    value: 'SECONDS',
    help: 'How long an orderly stop may take',
  },
] as const satisfies readonly OptionSpec[]

type Spec = (typeof optionSpecs)[number]
type ValueOf<T> = T extends 'boolean'
  ? boolean
  : T extends 'number'
    ? number
    : T extends 'list'
      ? readonly string[]
      : string

/** What was set, by flag name. */
export type RawOptions = { readonly [S in Spec as S['flag']]?: ValueOf<S['type']> }

/** A mistake in flags or configuration file, in one line for the user. */
export class OptionError extends Error {
  override readonly name = 'OptionError'
}

export type CommandLine =
  | { readonly action: 'run'; readonly options: RawOptions }
  | { readonly action: 'help' }
  | { readonly action: 'version' }

/**
 * Reads flags as dockerd does.
 * @throws {OptionError} for unknown flags, missing values, values that are no numbers.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const config = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
    'no-dashboard': { type: 'boolean' },
    ...Object.fromEntries(
      optionSpecs.map((spec: OptionSpec) => [
        spec.flag,
        {
          type: spec.type === 'boolean' ? 'boolean' : 'string',
          multiple: spec.type === 'list',
          ...(spec.short === undefined ? {} : { short: spec.short }),
        },
      ]),
    ),
  } as NonNullable<ParseArgsConfig['options']>
  const { values, positionals } = parse(withoutBooleanValues(args), config)
  if (positionals.length > 0)
    throw new OptionError(`skepd takes no arguments, but got: ${positionals.join(' ')}`)
  if (values['help'] === true) return { action: 'help' }
  if (values['version'] === true) return { action: 'version' }
  const options: Record<string, unknown> = {}
  for (const spec of optionSpecs) {
    const value = values[spec.flag]
    if (value !== undefined)
      options[spec.flag] = spec.type === 'number' ? toNumber(`--${spec.flag}`, value) : value
  }
  if (values['no-dashboard'] === true) options['dashboard'] = false
  return { action: 'run', options }
}

/**
 * Reads the text of a configuration file.
 * @throws {OptionError} when it is no JSON object, or has unknown or mistyped members.
 */
export function parseConfigFile(path: string, text: string): RawOptions {
  const fail = (why: string) => new OptionError(`cannot use the configuration file ${path}: ${why}`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw fail(`invalid JSON: ${(error as Error).message}`)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw fail('it must be a JSON object')
  const options: Record<string, unknown> = {}
  const unknown: string[] = []
  for (const [key, value] of Object.entries(json)) {
    const spec = optionSpecs.find(({ flag, configKey }) => flag === key || configKey === key)
    if (spec === undefined || spec.flag === 'config-file') unknown.push(key)
    else if (!fits(spec.type, value))
      throw fail(`"${key}" must be a ${spec.type === 'list' ? 'list of strings' : spec.type}`)
    else options[spec.flag] = value
  }
  if (unknown.length > 0)
    throw fail(`the following directives don't match any configuration option: ${unknown.join(', ')}`)
  return options
}

/**
 * Flags and file together. A setting may stand in one of them only, so that neither hides the other.
 * Behaviour: moby daemon/config/config.go.
 */
export function mergeOptions(flags: RawOptions, path: string, file: RawOptions): RawOptions {
  const both = Object.keys(flags).filter((flag) => flag in file)
  if (both.length > 0) {
    throw new OptionError(
      `cannot use the configuration file ${path}: the following directives are specified both as a flag and in the configuration file: ${both.join(', ')}`,
    )
  }
  return { ...file, ...flags }
}

export function usage(): string {
  const lines = optionSpecs.map((spec: OptionSpec) => {
    const short = spec.short === undefined ? '    ' : `-${spec.short}, `
    const flag = `${short}--${spec.flag}${spec.value === undefined ? '' : ` ${spec.value}`}`
    return `  ${flag.padEnd(44)}${spec.help}`
  })
  return [
    'Usage: skepd [OPTIONS]',
    '',
    'Swarm mode for any container engine: serves the Docker Engine API.',
    '',
    'Options:',
    ...lines,
    `  ${'-h, --help'.padEnd(44)}Print this help`,
    `  ${'-v, --version'.padEnd(44)}Print the version`,
  ].join('\n')
}

/** `--tls=true`, as Go programs take it, for `--tls`; `--tls=false` for nothing. */
function withoutBooleanValues(args: readonly string[]): string[] {
  return args.flatMap((arg) => {
    const match = /^--([a-z-]+)=(true|false)$/.exec(arg)
    const isBoolean = optionSpecs.some(({ flag, type }) => flag === match?.[1] && type === 'boolean')
    if (match === null || !isBoolean) return [arg]
    if (match[2] === 'true') return [`--${match[1]}`]
    return match[1] === 'dashboard' ? ['--no-dashboard'] : []
  })
}

function parse(args: string[], options: NonNullable<ParseArgsConfig['options']>) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true })
  } catch (error) {
    const text = (error as Error).message.split('. ')[0] ?? ''
    const unknown = /Unknown option '(.+?)'/.exec(text)
    throw new OptionError(unknown === null ? text : `unknown flag: ${unknown[1]} (see skepd --help)`)
  }
}

function toNumber(what: string, value: unknown): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new OptionError(`invalid value "${String(value)}" for ${what}: a whole number is needed`)
  }
  return number
}

function fits(type: OptionSpec['type'], value: unknown): boolean {
  if (type === 'list') return Array.isArray(value) && value.every((item) => typeof item === 'string')
  if (type === 'number') return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  return typeof value === type
}
