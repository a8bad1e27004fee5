/** One block of a PEM file. */
export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  readonly label: string
  /** RFC 1421 headers, in the order of the file. */
  readonly headers: ReadonlyMap<string, string>
  readonly der: Buffer
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/g

/** All well-formed blocks; text around them is ignored, as Go does. */
export function parsePem(text: string): PemBlock[] {
  return [...text.matchAll(block)].map(([, label = '', body = '']) => {
    const headers = new Map<string, string>()
    const base64: string[] = []
    for (const line of body.split(/\r?\n/)) {
      const at = line.indexOf(':')
      if (at === -1) base64.push(line.trim())
      else headers.set(line.slice(0, at).trim(), line.slice(at + 1).trim())
    }
    return { label, headers, der: Buffer.from(base64.join(''), 'base64') }
  })
}

/** One block as text, lines of 64 characters, with a final newline. */
export function formatPem(
  label: string,
  der: Uint8Array,
  headers: ReadonlyMap<string, string> = new Map(),
): string {
  const base64 = Buffer.from(der).toString('base64')
  const lines: string[] = []
  for (let at = 0; at < base64.length; at += 64) lines.push(base64.slice(at, at + 64))
  const head = [...headers].map(([name, value]) => `${name}: ${value}`)
  if (head.length > 0) head.push('')
  return [`-----BEGIN ${label}-----`, ...head, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** All blocks as they are distributed: without headers, and without the text around them. Empty where there is none. */
export function normalizePem(text: string): string {
  return parsePem(text)
    .map(({ label, der }) => formatPem(label, der))
    .join('')
}
