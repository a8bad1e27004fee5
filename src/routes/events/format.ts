import { isOlderThan } from '../http/versions.js'

/** From this version on, lines have a media type of their own and no members of old. */
const currentFormSince = '1.52'
const recordSeparator = '\u001e'

const byAccept = ['application/jsonl', 'application/x-ndjson', 'application/json-seq'] as const

/** How a client wants its events. */
export class EventFormat {
  readonly contentType: string
  readonly #isLegacy: boolean

  /** @param accept the request's header. */
  constructor(apiVersion: string, accept: string | undefined) {
    this.#isLegacy = isOlderThan(apiVersion, currentFormSince)
    const wanted = (accept ?? '').split(',').map((part) => part.split(';')[0]?.trim().toLowerCase())
    const chosen = byAccept.find((type) => wanted.includes(type))
    this.contentType = this.#isLegacy ? 'application/json' : (chosen ?? 'application/jsonl')
  }

  /** @param line JSON without line end. */
  encode(line: string): string {
    const text = this.#isLegacy ? line : withoutLegacyMembers(line)
    return `${this.contentType === 'application/json-seq' ? recordSeparator : ''}${text}\n`
  }
}

const legacyMembers = /^\{(?:"(?:status|id|from)":"(?:[^"\\]|\\.)*",)+/

/** Cuts in the text: parsing would round the nanoseconds. */
function withoutLegacyMembers(line: string): string {
  return line.replace(legacyMembers, '{')
}
