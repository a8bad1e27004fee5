import {
  checkImportedRoot,
  createRootCa,
  createSigner,
  crossSign,
  ExternalCa,
  normalizePem,
  parseCertificate,
  type Certificate,
} from '../ca/index.js'
import type { Env } from '../env/env.js'
import { SwarmError, clusterError, errorText } from '../model/errors.js'
import type { RootCa } from '../model/objects.js'
import type { CAConfig } from '../model/spec/index.js'
import type { ControlContext } from './context.js'

const yearMs = 365 * 24 * 60 * 60 * 1000
/** What is left of a root that nodes shall move to. */
const leastRootExpiryMs = yearMs

const keyAloneText = 'if a signing CA key is provided, the signing CA cert must also be provided'
/** Of X.509's KeyUsage. */
const certSignFlag = 5

/** A root that nodes shall move to. */
interface NextRoot {
  readonly certPem: string
  readonly keyPem: string | undefined
}

/**
 * The URLs of the external CAs that sign with the root `certPem`. One without a certificate signs with the
 * present root.
 * Behaviour: moby/swarmkit ca/server.go, filterExternalCAURLS.
 */
export function externalCaUrls(config: CAConfig | undefined, currentPem: string, certPem: string): string[] {
  const wanted = normalizePem(certPem)
  return (config?.ExternalCAs ?? []).flatMap(({ CACert: own = '', URL: url }) =>
    url !== undefined && normalizePem(own === '' ? currentPem : own) === wanted ? [url] : [],
  )
}

/**
 * What becomes of the cluster's root when its configuration is to be `sent`: it stays (the same object), a
 * rotation begins or is replaced by another one, or one under way ends before its time.
 * @throws {SwarmError} InvalidArgument; Internal when the present root cannot sign the next one.
 * Behaviour and texts: moby/swarmkit manager/controlapi/ca_rotation.go, validateCAConfig.
 */
export async function nextRootCa(context: ControlContext, rootCa: RootCa, sent: CAConfig): Promise<RootCa> {
  const current = normalizePem(rootCa.certPem)
  const certPem = normalizePem(sent.SigningCACert ?? '')
  const keyPem = sent.SigningCAKey === '' ? undefined : sent.SigningCAKey
  const lastForcedRotation = sent.ForceRotate ?? 0
  if (keyPem !== undefined && certPem === '') {
    throw invalid(keyAloneText)
  }
  const requireExternalCa = (root: string, word: string) =>
    checkExternalCa(context, externalCaUrls(sent, current, root), root, word)
  const rotationTo = async (next: NextRoot): Promise<RootCa> => ({
    ...rootCa,
    lastForcedRotation,
    rotation: { ...rootOf(next), crossSignedPem: await crossSigned(context, rootCa, next, sent) },
  })

  if (rootCa.keyPem === undefined && !(certPem === current && keyPem !== undefined)) {
    await requireExternalCa(current, 'current')
  }
  if (certPem === '') {
    if (rootCa.lastForcedRotation !== lastForcedRotation) return rotationTo(createRootCa(context.env))
    const { rotation } = rootCa
    if (rotation !== undefined && rotation.keyPem === undefined) {
      await requireExternalCa(normalizePem(rotation.certPem), 'next')
    }
    return rootCa
  }

  const { publicKeyDer, subjectDer } = checkNextRoot(context.env, certPem, keyPem)
  if (keyPem === undefined) await requireExternalCa(certPem, 'desired')
  if (certPem === current) {
    return { certPem: rootCa.certPem, ...(keyPem !== undefined && { keyPem }), lastForcedRotation }
  }
  const present = parseCertificate(current)
  // Two roots with one key cannot be told apart by what they have signed.
  if (present.publicKeyDer.equals(publicKeyDer)) {
    throw invalid('Cannot update to a cert with an identical key')
  }
  // Nor can two with one name, for OpenSSL, unless the first one names its key.
  if (present.subjectKeyId === undefined && present.subjectDer.equals(subjectDer)) {
    throw invalid(
      'the desired CA certificate has the subject of the current one, which has no subject key identifier: choose another subject',
    )
  }
  const { rotation } = rootCa
  if (rotation !== undefined && normalizePem(rotation.certPem) === certPem) {
    const { crossSignedPem } = rotation
    return { ...rootCa, lastForcedRotation, rotation: { ...rootOf({ certPem, keyPem }), crossSignedPem } }
  }
  return rotationTo({ certPem, keyPem })
}

/**
 * The root of a new swarm: the one that the user brings, or a new one.
 * @throws {SwarmError} InvalidArgument, as `nextRootCa`.
 */
export function firstRoot(env: Env, sent: CAConfig): { readonly certPem: string; readonly keyPem: string } {
  const certPem = normalizePem(sent.SigningCACert ?? '')
  const { SigningCAKey: keyPem = '' } = sent
  if (certPem === '' && keyPem === '') return createRootCa(env)
  if (certPem === '') throw invalid(keyAloneText)
  if (keyPem === '') {
    throw invalid(
      'a new swarm needs the key of its root CA: leave the certificate out, and move to the external CA with `docker swarm ca --rotate` later',
    )
  }
  checkNextRoot(env, certPem, keyPem)
  return { certPem, keyPem }
}

function rootOf({ certPem, keyPem }: NextRoot): { readonly certPem: string; readonly keyPem?: string } {
  return { certPem, ...(keyPem !== undefined && { keyPem }) }
}

function checkNextRoot(env: Env, certPem: string, keyPem: string | undefined): Certificate {
  const nowMs = env.nowMs()
  try {
    const [certificate, ...others] = checkImportedRoot(nowMs, certPem, keyPem)
    if (others.length > 0) throw invalid('the desired CA certificate cannot contain multiple certificates')
    if (certificate.notAfterMs < nowMs + leastRootExpiryMs) throw invalid('CA certificate expires too soon')
    return certificate
  } catch (error) {
    if (!(error instanceof SwarmError) || error.message.startsWith('rpc error')) throw error
    throw clusterError(error.code, error.message, { cause: error })
  }
}

async function checkExternalCa(
  context: ControlContext,
  urls: readonly string[],
  root: string,
  word: string,
): Promise<void> {
  const isReachable = urls.length > 0 && (await externalCa(context, urls, root)?.isReachable())
  if (isReachable === true) return
  throw invalid(
    `there must be at least one valid, reachable external CA corresponding to the ${word} CA certificate`,
  )
}

/** The next root, signed by the present one: not by the target of a rotation that may be under way. */
async function crossSigned(
  context: ControlContext,
  rootCa: RootCa,
  next: NextRoot,
  sent: CAConfig,
): Promise<string> {
  const current = normalizePem(rootCa.certPem)
  const { certPem, keyPem } = rootCa
  if (keyPem !== undefined) {
    return orFail(context, () => crossSign(createSigner(certPem, keyPem), parseCertificate(next.certPem)))
  }
  if (next.keyPem === undefined) {
    throw invalid('rotating from one external CA to a different external CA is not supported')
  }
  const nextSigner = createSigner(next.certPem, next.keyPem)
  const external = externalCa(context, externalCaUrls(sent, current, current), current)
  return orFail(context, async () => normalizePem((await external?.crossSign(nextSigner)) ?? ''))
}

async function orFail({ env }: ControlContext, sign: () => string | Promise<string>): Promise<string> {
  try {
    const pem = await sign()
    const { isCa, keyUsage } = parseCertificate(pem)
    if (!isCa || keyUsage?.has(certSignFlag) === false) throw new Error('certificate not a CA')
    return pem
  } catch (error) {
    env.log.error(
      { err: errorText(error) },
      'unable to generate a cross-signed certificate for root rotation',
    )
    throw clusterError('Internal', 'unable to generate a cross-signed certificate for root rotation', {
      cause: error,
    })
  }
}

function externalCa(
  { env, credentials }: ControlContext,
  urls: readonly string[],
  root: string,
): ExternalCa | undefined {
  return credentials && new ExternalCa(env, { urls, credentials: credentials(), roots: [root] })
}

function invalid(text: string): SwarmError {
  return clusterError('InvalidArgument', text)
}
