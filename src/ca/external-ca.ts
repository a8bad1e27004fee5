import { request as httpsRequest } from 'node:https'
import { connect, type ConnectionOptions } from 'node:tls'
import Type from 'typebox'
import Value from 'typebox/value'
import type { Env } from '../env/env.js'
import { SwarmError, errorText } from '../model/errors.js'
import { extensionOids, parseCertificates, type DistinguishedName } from './certificate.js'
import { createRootCsr } from './csr.js'
import { bytesOf, children, isBoolean, oidOf } from './der.js'
import { dnsNamesOf, organizationalUnit, type NodeIdentity } from './identity.js'
import type { Signer } from './issue.js'
import type { NodeCredentials } from './key-read-writer.js'

/** Certificate authorities outside of the swarm that sign for one root, and how to speak to them. */
export interface ExternalCaOptions {
  /** Where to post requests to: `https://ca.example.com:8888/api/v1/cfssl/sign`. Asked one after the other. */
  readonly urls: readonly string[]
  /** This manager's own, which it shows. */
  readonly credentials: NodeCredentials
  /** PEM bundles that the servers' certificates must come from. */
  readonly roots: readonly string[]
}

/** The profile under which a CA certificate is asked for. */
const crossSignProfile = 'CA'
const requestTimeoutMs = 5000
const maxAnswerBytes = 256 * 1024

const AnswerSchema = Type.Object({
  success: Type.Boolean(),
  result: Type.Optional(Type.Unknown()),
  errors: Type.Optional(Type.Unknown()),
})
const ResultSchema = Type.Object({ certificate: Type.String() })
const ErrorsSchema = Type.Array(Type.Object({ code: Type.Integer(), message: Type.String() }))

/**
 * A client of CFSSL's signing API, over TLS with this manager's certificate.
 * Behaviour: moby/swarmkit ca/external.go.
 */
export class ExternalCa {
  readonly #env: Env
  readonly #options: ExternalCaOptions

  constructor(env: Env, options: ExternalCaOptions) {
    this.#env = env
    this.#options = options
  }

  /**
   * Has a node's request signed.
   * @returns PEM, the node's certificate first.
   * @throws {SwarmError} Unavailable when none of the CAs could be asked; Unknown when they refuse.
   */
  signNode(csrPem: string, identity: NodeIdentity): Promise<string> {
    const { nodeId, role, clusterId } = identity
    return this.#sign({
      hosts: dnsNamesOf(identity),
      certificate_request: csrPem,
      subject: { CN: nodeId, names: [{ OU: organizationalUnit(role), O: clusterId }] },
      profile: '',
    })
  }

  /** Has another root signed, which makes it an intermediate below this one. @returns PEM. @throws as `signNode`. */
  crossSign({ certificate, key }: Signer): Promise<string> {
    const constraints = certificate.extensions.find(
      (extension) => oidOf(children(extension)[0]) === extensionOids.basicConstraints,
    )
    const parts = constraints === undefined ? [] : children(constraints)
    return this.#sign({
      hosts: [],
      certificate_request: createRootCsr(certificate, key),
      subject: { CN: certificate.subject.commonName ?? '', names: [namesOf(certificate.subject)] },
      profile: crossSignProfile,
      // CFSSL takes no extension from a request but the names.
      extensions: [
        {
          id: extensionOids.basicConstraints,
          critical: isBoolean(parts[1]),
          value: bytesOf(parts.at(-1)).toString('hex'),
        },
      ],
    })
  }

  /** Whether one of the CAs takes this manager's certificate and shows one of the right root. */
  async isReachable(): Promise<boolean> {
    for (const [index, url] of this.#options.urls.entries()) {
      try {
        await this.#connect(url)
        return true
      } catch (error) {
        this.#env.log.warn(
          { url, err: errorText(error) },
          `external CA # ${index + 1} is unreachable or invalid`,
        )
      }
    }
    return false
  }

  async #sign(body: object): Promise<string> {
    let last: unknown = new SwarmError('Unavailable', 'no external CA URLs')
    for (const url of this.#options.urls) {
      try {
        const pem = readAnswer(await this.#post(url, JSON.stringify(body)))
        parseCertificates(pem)
        return pem.endsWith('\n') ? pem : `${pem}\n`
      } catch (error) {
        last = error
        this.#env.log.warn({ url, err: errorText(error) }, 'an external CA did not sign')
      }
    }
    throw last
  }

  #tls(): ConnectionOptions {
    const { credentials, roots } = this.#options
    return {
      key: credentials.key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: credentials.certificatePem,
      ca: [...roots],
      minVersion: 'TLSv1.2',
    }
  }

  #connect(url: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const { protocol, hostname, port } = new URL(url)
      if (protocol !== 'https:') throw new Error('invalid HTTP scheme')
      const host = hostname.replace(/^\[(.*)\]$/, '$1')
      const socket = connect({ ...this.#tls(), host, port: port === '' ? 443 : Number(port) })
      const cancelTimer = this.#env.after(requestTimeoutMs, () => socket.destroy(new Error('i/o timeout')))
      socket.once('secureConnect', () => {
        resolve()
        socket.destroy()
      })
      socket.once('error', reject)
      socket.once('close', cancelTimer)
    })
  }

  #post(url: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        cancelTimer()
        const text = `unable to perform certificate signing request: ${errorText(error)}`
        reject(new SwarmError('Unavailable', text, { cause: error }))
      }
      const request = httpsRequest(url, {
        ...this.#tls(),
        method: 'POST',
        agent: false,
        headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
      })
      const cancelTimer = this.#env.after(requestTimeoutMs, () => request.destroy(new Error('i/o timeout')))
      request.on('error', fail)
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        let length = 0
        response.on('data', (chunk: Buffer) => {
          length += chunk.length
          if (length > maxAnswerBytes) request.destroy(new Error('the answer is too long'))
          else chunks.push(chunk)
        })
        response.on('error', fail)
        response.on('end', () => {
          cancelTimer()
          const text = Buffer.concat(chunks).toString()
          if (response.statusCode === 200) resolve(text)
          else fail(new Error(`unexpected status code in CSR response: ${response.statusCode} - ${text}`))
        })
      })
      request.end(body)
    })
  }
}

/** The fields of a subject besides its common name, as CFSSL names them. */
function namesOf({ organization, organizationalUnit: unit }: DistinguishedName): object {
  return { ...(organization !== undefined && { O: organization }), ...(unit !== undefined && { OU: unit }) }
}

/** @throws {SwarmError} Unavailable for what is no answer of CFSSL's; Unknown where it refuses. */
function readAnswer(text: string): string {
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch (error) {
    throw new SwarmError('Unavailable', 'unable to parse JSON response', { cause: error })
  }
  if (!Value.Check(AnswerSchema, answer)) throw new SwarmError('Unavailable', 'unable to parse JSON response')
  const { success, result, errors } = answer
  if (!success || result === undefined || result === null) {
    const reasons = Value.Check(ErrorsSchema, errors) ? errors : []
    if (reasons.length === 0) throw new SwarmError('Unknown', 'certificate signing request failed')
    const list = reasons.map(({ code, message }) => `{code: ${code}, message: ${message}}`).join(', ')
    throw new SwarmError('Unknown', `response errors: [${list}]`)
  }
  if (!Value.Check(ResultSchema, result)) {
    throw new SwarmError('Unknown', 'invalid result certificate field type')
  }
  return result.certificate
}
