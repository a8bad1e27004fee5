import { SwarmError } from '../model/errors.js'
import { isSignedBy, type Certificate } from './certificate.js'

/** What a leaf is to be used for. */
export type CertificatePurpose = 'client' | 'server'

/** `expired` covers "not yet valid" too. */
export type ChainFault = 'expired' | 'untrusted' | 'purpose'

/** A certificate that must not be relied on, and why. */
export class ChainError extends SwarmError {
  readonly fault: ChainFault

  constructor(fault: ChainFault, message: string) {
    super('Unauthenticated', message)
    this.fault = fault
  }
}

const purposeOids: Record<CertificatePurpose, string> = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
}
const ANY_PURPOSE_OID = '2.5.29.37.0'
const CERT_SIGN_FLAG = 5
const MAX_CHAIN_LENGTH = 8

export interface ChainOptions {
  readonly roots: readonly Certificate[]
  readonly intermediates?: readonly Certificate[]
  /** Unix ms at which every certificate of the chain must be valid. */
  readonly nowMs: number
  /** Default: any. */
  readonly purpose?: CertificatePurpose
  /** Takes a leaf whose dates have run out: for recovery, and to tell expired from untrusted. */
  readonly allowExpiredLeaf?: boolean
}

/**
 * Finds a chain from `leaf` to one of `roots`.
 * @returns the chain, leaf first, root last.
 * @throws {ChainError} Unauthenticated: why the leaf must not be relied on.
 */
export function verifyChain(leaf: Certificate, options: ChainOptions): readonly Certificate[] {
  if (options.allowExpiredLeaf !== true) checkDates(leaf, options.nowMs)
  if (!serves(leaf, options.purpose)) {
    throw new ChainError('purpose', `the certificate is not for use as a ${options.purpose}`)
  }
  const chain = findChain([leaf], options)
  if (chain === undefined) {
    throw new ChainError('untrusted', 'the certificate is not signed by the root of this cluster')
  }
  return chain
}

/** Depth first, roots before intermediates: the shortest chain that holds. */
function findChain(
  chain: readonly [Certificate, ...Certificate[]] | readonly Certificate[],
  options: ChainOptions,
): readonly Certificate[] | undefined {
  const last = chain.at(-1)
  if (last === undefined || chain.length > MAX_CHAIN_LENGTH) return undefined
  const { roots, intermediates = [] } = options
  if (roots.some((root) => root.der.equals(last.der))) return chain
  const root = roots.find((candidate) => issues(candidate, last, chain.length, options))
  if (root !== undefined) return [...chain, root]
  for (const candidate of intermediates) {
    if (chain.includes(candidate) || !issues(candidate, last, chain.length, options)) continue
    const found = findChain([...chain, candidate], options)
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether `issuer` signed `certificate` and was allowed to. `depth` counts the certificates below it. */
function issues(
  issuer: Certificate,
  certificate: Certificate,
  depth: number,
  options: ChainOptions,
): boolean {
  return (
    issuer.subjectDer.equals(certificate.issuerDer) &&
    issuer.isCa &&
    (issuer.keyUsage === undefined || issuer.keyUsage.has(CERT_SIGN_FLAG)) &&
    (issuer.maxPathLength === undefined || depth - 1 <= issuer.maxPathLength) &&
    serves(issuer, options.purpose) &&
    issuer.notBeforeMs <= options.nowMs &&
    options.nowMs <= issuer.notAfterMs &&
    isSignedBy(certificate, issuer.publicKey)
  )
}

function serves(certificate: Certificate, purpose: CertificatePurpose | undefined): boolean {
  const { extendedKeyUsage } = certificate
  if (purpose === undefined || extendedKeyUsage === undefined) return true
  return extendedKeyUsage.includes(purposeOids[purpose]) || extendedKeyUsage.includes(ANY_PURPOSE_OID)
}

function checkDates(certificate: Certificate, nowMs: number): void {
  if (nowMs < certificate.notBeforeMs) throw new ChainError('expired', 'the certificate is not yet valid')
  if (nowMs > certificate.notAfterMs) throw new ChainError('expired', 'the certificate has expired')
}
