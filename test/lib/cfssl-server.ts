import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { generateKey, parseCsr, privateKeyPem, publicKeyDer } from '../../src/ca/index.js'
import type { distinguishedName } from '../../src/ca/issue.js'
import { signCertificate, type Root } from './certificates.js'

interface SignRequest {
  readonly certificate_request: string
  readonly hosts: readonly string[]
  readonly subject: {
    readonly CN: string
    readonly names: readonly { readonly O?: string; readonly OU?: string }[]
  }
  readonly profile: string
}

/**
 * A certificate authority that speaks CFSSL's `/api/v1/cfssl/sign`, over TLS, for clients with a certificate of
 * one of its roots. Behaviour: cloudflare/cfssl api/signhandler.
 */
export class CfsslServer {
  readonly url: string
  /** Common names that it has signed, in order. */
  readonly signed: string[] = []
  /** What it answers instead of a certificate. */
  refusal: { readonly status: number; readonly body: string } | undefined
  readonly #server: Server
  readonly #root: Root
  #clientRoots: readonly string[]
  readonly #serverKey = generateKey()

  private constructor(root: Root, clientRoots: readonly string[], server: Server, port: number) {
    this.#root = root
    this.#clientRoots = clientRoots
    this.#server = server
    this.url = `https://127.0.0.1:${port}/api/v1/cfssl/sign`
    this.trust(clientRoots)
    server.on('request', (request: IncomingMessage, response) => {
      this.#answer(request).then(
        ({ status, body }) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(body),
        (error: unknown) => response.writeHead(500).end(String(error)),
      )
    })
  }

  /** @param clientRoots PEM of the roots whose nodes may ask. */
  static async start(root: Root, clientRoots: readonly string[] = [root.certPem]): Promise<CfsslServer> {
    const server = createServer({ requestCert: true, rejectUnauthorized: false }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return new CfsslServer(root, clientRoots, server, typeof address === 'object' ? (address?.port ?? 0) : 0)
  }

  /** Takes clients of these roots from now on. */
  trust(clientRoots: readonly string[]): void {
    this.#clientRoots = clientRoots
    const cert = signCertificate(
      {
        subject: { commonName: 'external CA' },
        publicKeyDer: publicKeyDer(this.#serverKey),
        hosts: ['127.0.0.1', 'localhost'],
      },
      this.#root,
    )
    this.#server.setSecureContext({ key: privateKeyPem(this.#serverKey), cert, ca: [...this.#clientRoots] })
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage): Promise<{ readonly status: number; readonly body: string }> {
    if (!(request.socket as TLSSocket).authorized) return { status: 403, body: 'a certificate is needed' }
    if (request.method !== 'POST' || request.url !== '/api/v1/cfssl/sign') return { status: 404, body: '' }
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    if (this.refusal !== undefined) return this.refusal
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as SignRequest
    const [name = {}] = asked.subject.names
    const certificate = signCertificate(
      {
        subject: subjectOf(asked.subject.CN, name),
        publicKeyDer: parseCsr(asked.certificate_request),
        hosts: asked.hosts,
        isCa: asked.profile === 'CA',
      },
      this.#root,
    )
    this.signed.push(asked.subject.CN)
    return {
      status: 200,
      body: JSON.stringify({ success: true, result: { certificate }, errors: [], messages: [] }),
    }
  }
}

function subjectOf(
  commonName: string,
  { O: organization, OU: organizationalUnit }: { readonly O?: string; readonly OU?: string },
): Parameters<typeof distinguishedName>[0] {
  return {
    commonName,
    ...(organization !== undefined && { organization }),
    ...(organizationalUnit !== undefined && { organizationalUnit }),
  }
}
