/** A reference to an image, with everything spelled out. */
export interface ImageReference {
  /** `docker.io` where none is given. */
  readonly domain: string
  /** `library/busybox`. */
  readonly path: string
  readonly tag?: string
  /** `sha256:…`. */
  readonly digest?: string
}

const domainPattern =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/
const pathPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const tagPattern = /^\w[\w.-]{0,127}$/
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/
const digestLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 }

/**
 * Reads what users write as image: `busybox`, `localhost:5000/a/b:1.2@sha256:…`.
 * @returns undefined where it is no reference; Docker's message for that names only the text.
 * Behaviour: distribution/reference ParseNormalizedNamed.
 */
export function parseImageReference(text: string): ImageReference | undefined {
  // What looks like an image ID can be no name.
  if (/^[a-f0-9]{64}$/.test(text)) return undefined
  const [beforeDigest = '', digest, ...more] = text.split('@')
  if (more.length > 0 || (digest !== undefined && !isDigest(digest))) return undefined
  const slash = beforeDigest.indexOf('/')
  const first = slash < 0 ? '' : beforeDigest.slice(0, slash)
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first
  const domain = isDomain ? first : 'docker.io'
  const rest = isDomain ? beforeDigest.slice(slash + 1) : beforeDigest
  const colon = rest.lastIndexOf(':')
  const name = colon < 0 ? rest : rest.slice(0, colon)
  const tag = colon < 0 ? undefined : rest.slice(colon + 1)
  const isOfficial = (domain === 'docker.io' || domain === 'index.docker.io') && !name.includes('/')
  const path = isOfficial ? `library/${name}` : name
  if (!domainPattern.test(domain) || !pathPattern.test(path)) return undefined
  if (tag !== undefined && !tagPattern.test(tag)) return undefined
  if (domain.length + 1 + path.length > 255) return undefined
  return {
    domain: domain === 'index.docker.io' ? 'docker.io' : domain,
    path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  }
}

function isDigest(text: string): boolean {
  if (!digestPattern.test(text)) return false
  const [algorithm = '', hex = ''] = text.split(':')
  const length = digestLengths[algorithm]
  return length === undefined || (hex.length === length && hex === hex.toLowerCase())
}
