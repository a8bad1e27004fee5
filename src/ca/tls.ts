import { constants, type KeyObject } from 'node:crypto'
import type { ConnectionOptions, DetailedPeerCertificate, TlsOptions, TLSSocket } from 'node:tls'
import { SwarmError } from '../model/errors.js'
import { parseCertificateDer, parseCertificates, type Certificate } from './certificate.js'
import { verifyChain } from './chain.js'
import { certificateIdentity, CA_NAME, MANAGER_OU, type NodeIdentity } from './identity.js'
import type { NodeCredentials } from './key-read-writer.js'

/** Only suites with forward secrecy and authenticated encryption. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
].join(':')

/**
 * For the listener of cluster traffic. A client need not show a certificate (joining nodes have none); one that
 * does is verified, which `peerIdentity` reports.
 * @param roots PEM bundles of all roots that clients may come from: two while the root rotates.
 */
export function serverTlsOptions(credentials: NodeCredentials, roots?: readonly string[]): TlsOptions {
  return {
    ...common(credentials, roots),
    requestCert: true,
    // Refused by `peerIdentity` instead, which can tell a missing certificate from a wrong one.
    rejectUnauthorized: false,
    // A session that is taken up again shows a certificate of back then, and no one looks at it anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}

/**
 * For calls to a manager. The server must prove that it is a manager of this cluster; at which address it
 * answers says nothing.
 */
export function clientTlsOptions(credentials: NodeCredentials, roots?: readonly string[]): ConnectionOptions {
  return { ...common(credentials, roots), servername: MANAGER_OU, rejectUnauthorized: true }
}

/** For connections to one node, of whatever role, which must prove to be that node. */
export function nodeTlsOptions(
  credentials: NodeCredentials,
  nodeId: string,
  roots?: readonly string[],
): ConnectionOptions {
  return { ...clientTlsOptions(credentials, roots), servername: nodeId }
}

/**
 * As the given options, for what managers do for each other and for nodes although certificates have run out.
 * The handshake refuses nobody: `peerIdentity` has to be asked.
 */
export function lenientTlsOptions(options: ConnectionOptions): ConnectionOptions {
  return { ...options, rejectUnauthorized: false }
}

/** For the calls of a joining node that has the root but no certificate yet. */
export function joinTlsOptions(rootPem: string): ConnectionOptions {
  return { ca: [rootPem], minVersion: 'TLSv1.2', servername: CA_NAME, rejectUnauthorized: true }
}

/**
 * Who is at the other end of a connection to the cluster's listener.
 * @param lenient also takes a certificate that is right in all but that its time is over: of these roots.
 * @returns undefined when the client showed no certificate.
 * @throws {SwarmError} Unauthenticated when it showed one that its root did not sign, or that has expired.
 */
export function peerIdentity(
  socket: TLSSocket,
  lenient?: { readonly rootPem: string; readonly nowMs: number },
): NodeIdentity | undefined {
  const [leaf, ...intermediates] = shownCertificates(socket)
  if (leaf === undefined) return undefined
  if (!socket.authorized) {
    if (lenient === undefined || reason(socket) !== expiredReason) {
      throw new SwarmError('Unauthenticated', `the client's certificate is not valid: ${reason(socket)}`)
    }
    // OpenSSL names one fault only: there may be others.
    const roots = parseCertificates(lenient.rootPem)
    verifyChain(leaf, { roots, intermediates, nowMs: lenient.nowMs, allowExpiredLeaf: true })
  }
  return certificateIdentity(leaf)
}

const expiredReason = 'CERT_HAS_EXPIRED'

/** Node sets `authorizationError` to an Error or to its bare code. */
function reason(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError
  return error instanceof Error ? error.message : String(error)
}

/** Leaf first. Node puts a root that it knows behind them, as its own issuer. */
function shownCertificates(socket: TLSSocket): readonly Certificate[] {
  const found: Certificate[] = []
  let shown: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true)
  while (shown?.raw !== undefined && !found.some(({ der }) => shown?.raw?.equals(der))) {
    found.push(parseCertificateDer(shown.raw))
    shown = shown.issuerCertificate
  }
  return found
}

function common(
  credentials: NodeCredentials,
  roots: readonly string[] = [credentials.rootPem],
): { key: string; cert: string; ca: string[]; minVersion: 'TLSv1.2'; ciphers: string } {
  return {
    key: keyPem(credentials.key),
    cert: credentials.certificatePem,
    ca: [...roots],
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
  }
}

function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}
