import { isIP } from 'node:net'
import { SwarmError } from '../model/errors.js'

/**
 * Which addresses a node listens on and announces, from what the user said and what the machine has.
 * Behaviour and texts: moby daemon/cluster/listen_addr.go, listen_addr_linux.go.
 */

/** A network interface that is up. */
export interface NetworkInterface {
  readonly name: string
  readonly addresses: readonly string[]
  readonly isLoopback: boolean
  /** A real network card, not a bridge, tunnel or the like. */
  readonly isDevice: boolean
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

export const defaultClusterPort = 2377

const listenHint = 'listen address must be an IP address or network interface (with optional port number)'
const advertiseHint =
  'advertise address must be a non-zero IP address or network interface (with optional port number)'
const dataPathHint =
  'data path address must be a non-zero IP address or network interface (without a port number)'

export interface ResolvedAddresses {
  readonly listen: HostPort
  readonly advertise: HostPort
  readonly dataPath: string
  /** The address of this node as it sees itself, for `/info`. */
  readonly local: string
}

/**
 * @param names DNS names that the user may have meant, with an address of each. Docker knows none.
 * @throws {SwarmError} InvalidArgument with Docker's text.
 */
export function resolveAddresses(
  wanted: {
    readonly listenAddr: string
    readonly advertiseAddr: string
    readonly dataPathAddr: string
    readonly defaultAdvertiseAddr: string | undefined
  },
  interfaces: readonly NetworkInterface[],
  names: HostNames = new Map(),
): ResolvedAddresses {
  const listen = resolveListen(wanted.listenAddr, interfaces)
  const wantedHost = wanted.advertiseAddr === '' ? (wanted.defaultAdvertiseAddr ?? '') : wanted.advertiseAddr
  const advertise = resolveAdvertise(wantedHost, listen, interfaces, names)
  const advertisedIp = names.get(advertise.host) ?? advertise.host
  const local = localAddress(listen, advertisedIp, interfaces)
  const dataPath =
    wanted.dataPathAddr === '' ? advertisedIp : resolveDataPath(wanted.dataPathAddr, interfaces)
  return { listen, advertise, dataPath, local }
}

/** An address of each name. */
export type HostNames = ReadonlyMap<string, string>

/** The host of an address, where that may be a DNS name. */
export function nameIn(text: string, interfaces: readonly NetworkInterface[]): string | undefined {
  const host = parseHostPort(text, defaultClusterPort)?.host ?? ''
  const isOther = host === '' || isIP(host) !== 0 || interfaces.some(({ name }) => name === host)
  return isOther ? undefined : host
}

export function formatHostPort({ host, port }: HostPort): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** Splits `host`, `host:port`, `[v6]:port`; the host may be empty. Undefined when it is none of these. */
export function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  if (isIP(text) !== 0) return { host: text, port: defaultPort }
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const port = match[3] === undefined ? defaultPort : Number(match[3])
  return port > 65535 ? undefined : { host: match[1] ?? match[2] ?? '', port }
}

function resolveListen(text: string, interfaces: readonly NetworkInterface[]): HostPort {
  const parsed = parseHostPort(text, defaultClusterPort)
  if (parsed === undefined || parsed.host === '') throw invalid(listenHint)
  const host = interfaceAddress(parsed.host, interfaces) ?? parsed.host
  if (isIP(host) === 0) throw invalid(listenHint)
  return { host, port: parsed.port }
}

function resolveAdvertise(
  wanted: string,
  listen: HostPort,
  interfaces: readonly NetworkInterface[],
  names: HostNames,
): HostPort {
  if (wanted !== '') {
    const parsed = parseHostPort(wanted, listen.port)
    if (parsed === undefined || parsed.host === '') throw invalid(advertiseHint)
    const host = interfaceAddress(parsed.host, interfaces) ?? parsed.host
    const isAddress = isIP(host) !== 0 && !isWildcard(host)
    if (!isAddress && !names.has(host)) throw invalid(advertiseHint)
    return { host, port: parsed.port }
  }
  return { host: isWildcard(listen.host) ? detectAddress(interfaces) : listen.host, port: listen.port }
}

function resolveDataPath(text: string, interfaces: readonly NetworkInterface[]): string {
  const host = interfaceAddress(text, interfaces) ?? text
  if (isIP(host) === 0 || isWildcard(host)) throw invalid(dataPathHint)
  return host
}

function localAddress(
  listen: HostPort,
  advertisedIp: string,
  interfaces: readonly NetworkInterface[],
): string {
  if (!isWildcard(listen.host)) return listen.host
  if (interfaces.some(({ addresses }) => addresses.includes(advertisedIp))) return advertisedIp
  try {
    return detectAddress(interfaces)
  } catch {
    throw invalid(
      "must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified",
    )
  }
}

/**
 * The addresses of a node that starts again. Its machine may have others than before: then what the machine found
 * out by itself, or an interface stood for, is found anew, and the others are told.
 * @param advertiseFrom what the user said to announce when the node came into the swarm.
 */
export function presentAddresses<
  S extends {
    readonly listenAddr: string
    readonly advertiseAddr: string
    readonly dataPathAddr: string
    readonly localAddr: string
    readonly advertiseFrom?: string
  },
>(state: S, interfaces: readonly NetworkInterface[], defaultAdvertiseAddr: string | undefined): S {
  const advertised = parseHostPort(state.advertiseAddr, defaultClusterPort)
  const listen = parseHostPort(state.listenAddr, defaultClusterPort)
  if (advertised === undefined || listen === undefined) return state
  const host = presentHost(advertised.host, state.advertiseFrom, interfaces, defaultAdvertiseAddr)
  if (host === advertised.host) return state
  const moved = (address: string) => (address === advertised.host ? host : address)
  return {
    ...state,
    advertiseAddr: formatHostPort({ ...advertised, host }),
    listenAddr: formatHostPort({ ...listen, host: moved(listen.host) }),
    dataPathAddr: moved(state.dataPathAddr),
    localAddr: moved(state.localAddr),
  }
}

function presentHost(
  known: string,
  from: string | undefined,
  interfaces: readonly NetworkInterface[],
  defaultAdvertiseAddr: string | undefined,
): string {
  const isHere = interfaces.some(({ addresses }) => addresses.includes(known))
  // A user's own address may be one that only the others can see.
  const text = defaultAdvertiseAddr ?? (isHere ? undefined : from)
  const wanted = text === undefined ? undefined : parseHostPort(text, defaultClusterPort)?.host
  try {
    if (text === '') return isIP(known) === 0 || isWildcard(known) ? known : detectAddress(interfaces)
    if (wanted === undefined || wanted === '') return known
    const host = interfaceAddress(wanted, interfaces) ?? wanted
    return isIP(host) === 0 || isWildcard(host) ? known : host
  } catch (error) {
    if (error instanceof SwarmError) return known
    throw error
  }
}

/** The one address of the interface called `name`; undefined when there is no such interface. */
function interfaceAddress(name: string, interfaces: readonly NetworkInterface[]): string | undefined {
  const found = interfaces.find((candidate) => candidate.name === name)
  if (found === undefined) return undefined
  for (const version of [4, 6]) {
    const usable = found.addresses.filter((address) => isIP(address) === version && !isLinkLocal(address))
    if (usable.length > 1) {
      throw invalid(
        `interface ${name} has more than one IPv${version} address (${usable[0]} and ${usable[1]})`,
      )
    }
    if (usable[0] !== undefined) return usable[0]
  }
  throw invalid(`interface ${name} has no usable IPv4 or IPv6 address`)
}

/** The one address that others can be told: of a network card if there is one, else of any interface. */
function detectAddress(interfaces: readonly NetworkInterface[]): string {
  const outward = interfaces.filter(({ isLoopback }) => !isLoopback)
  const devices = outward.filter(({ isDevice }) => isDevice)
  const usable = (from: readonly NetworkInterface[], version: number) =>
    from.flatMap(({ name, addresses }) =>
      addresses
        .filter((address) => isIP(address) === version && !isLinkLocal(address))
        .map((address) => ({ name, address })),
    )
  for (const from of [devices, outward]) {
    for (const version of [4, 6]) {
      const [first, second] = usable(from, version)
      if (first === undefined) continue
      if (second === undefined) return first.address
      const where =
        first.name === second.name
          ? `on interface ${first.name} (${first.address} and ${second.address})`
          : `on different interfaces (${first.address} on ${first.name} and ${second.address} on ${second.name})`
      throw invalid(
        `could not choose an IP address to advertise since this system has multiple addresses ${where}`,
      )
    }
  }
  throw invalid("could not find the system's IP address")
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || /^fe[89ab]/i.test(address)
}

function invalid(text: string): SwarmError {
  return new SwarmError('InvalidArgument', text)
}
