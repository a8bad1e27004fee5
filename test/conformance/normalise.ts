import type { Reply } from '../lib/http-client.js'

/** What of an answer is compared: everything that does not change from run to run. */
export interface Answer {
  readonly status: number
  /** Null when the header is absent. */
  readonly contentType: string | null
  /** Which of Docker's own headers came, `Server` with its shape. */
  readonly headers: readonly string[]
  /** A JSON body ends with a newline. */
  readonly finalNewline: boolean
  /** The parsed JSON, or the text. Null for no body. */
  readonly body: unknown
}

/** Strings of this run that stand for a role: object IDs, the node's host name, addresses. */
export type Names = ReadonlyMap<string, string>

const dockerHeaders = ['api-version', 'docker-experimental', 'ostype', 'server']

/**
 * An answer without IDs, times, keys, and numbers of the machine.
 * @param pick leaves only these members of the body.
 */
export function normalise(reply: Reply, names: Names, pick?: readonly string[]): Answer {
  const contentType = reply.headers['content-type'] ?? null
  const isJson = contentType?.startsWith('application/json') === true && reply.text !== ''
  return {
    status: reply.status,
    contentType,
    headers: dockerHeaders.flatMap((name) => {
      const value = reply.headers[name]
      if (typeof value !== 'string') return []
      return [name === 'server' ? `server: ${value.replace(/[0-9][^ ]*/, '<version>')}` : name]
    }),
    finalNewline: reply.text.endsWith('\n'),
    body: isJson
      ? normaliseList(normaliseValue(picked(parse(reply.text), pick), '', names))
      : normaliseText(reply.text, names) || null,
  }
}

/** One JSON value, or the list of those of a stream that has one on each line. */
function parse(text: string): unknown {
  const lines = text.trimEnd().split('\n')
  const values = lines.map((line) => JSON.parse(line) as unknown)
  return values.length === 1 ? values[0] : values
}

function picked(body: unknown, members: readonly string[] | undefined): unknown {
  if (members === undefined) return body
  return Object.fromEntries(Object.entries(body as object).filter(([key]) => members.includes(key)))
}

/** Lists come by random IDs: the order is asserted elsewhere, here it is made the same for all runs. */
function normaliseList(body: unknown): unknown {
  if (!Array.isArray(body)) return body
  return body
    .map((item: unknown) => ({ item, text: JSON.stringify(item) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1))
    .map(({ item }) => item)
}

/** An engine lists the mounts and the host ports of a container in no order. */
const unordered: ReadonlySet<string> = new Set(['.Mounts', '.Status.PortStatus.Ports'])

function normaliseValue(value: unknown, path: string, names: Names): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => normaliseValue(item, `${path}[]`, names))
    return unordered.has(path) ? normaliseList(items) : items
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
      normaliseText(key, names),
      normaliseValue(item, `${path}.${key}`, names),
    ])
    return Object.fromEntries(entries)
  }
  if (typeof value === 'number' && ofTheMachine.test(path)) return value > 0 ? '<number>' : value
  if (typeof value === 'string') {
    if (path.endsWith('.CertIssuerPublicKey')) return '<public key>'
    if (path.endsWith('.EngineVersion')) return '<version>'
    if (path.endsWith('.Peers[].Name')) return '<peer>'
    return normaliseText(value, names)
  }
  return value
}

/** Versions count the writes of the whole cluster; process IDs and sizes are the machine's. */
const ofTheMachine =
  /(\.Version\.Index|\.JobIteration\.Index|\.PID|\.Description\.Resources\.(NanoCPUs|MemoryBytes)|\.DriverState\.Options\..*|\.time|\.timeNano)$/

const zeroTime = '0001-01-01T00:00:00Z'

function normaliseText(text: string, names: Names): string {
  let result = text
  // Whole words only: a short host name may well occur within an ID.
  for (const [value, name] of names) {
    result = result.replace(new RegExp(`(?<!\\w)${escapeRegExp(value)}(?!\\w)`, 'g'), `<${name}>`)
  }
  return (
    result
      .replace(/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g, '<join token>')
      .replace(/SWMKEY-1-[A-Za-z0-9+/]{43}/g, '<unlock key>')
      .replace(
        /-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n/g,
        '<certificate>',
      )
      // RFC 3339 as Go writes it: no trailing zeros. Other forms stay and show up as a difference.
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z/g, (time) =>
        time === zeroTime ? time : '<time>',
      )
      .replace(/\b[0-9a-f]{64}\b/g, '<64 hex digits>')
      .replace(/\b[0-9a-f]{12}\b/g, '<12 hex digits>')
      .replace(/\b[0-9a-z]{25}\b/g, '<id>')
      .replace(/\b10\.\d+\.\d+\.\d+(?=\/\d+|\b)/g, '<address>')
  )
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
