import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { connect, createServer, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { systemEnv } from '../../../src/env/system.js'
import { silentLog } from '../../../src/env/log.js'
import type { NodeIdentity } from '../../../src/ca/identity.js'
import type { NodeCredentials } from '../../../src/ca/key-read-writer.js'
import { crossSign, createRootCa, createSigner } from '../../../src/ca/issue.js'
import { parseCertificate } from '../../../src/ca/certificate.js'
import {
  clientTlsOptions,
  joinTlsOptions,
  lenientTlsOptions,
  peerIdentity,
  serverTlsOptions,
} from '../../../src/ca/tls.js'
import { newImportedRoot } from '../../lib/certificates.js'
import { newNode, newRoot, temporaryFolder } from './helpers.js'

// OpenSSL compares dates with the machine's clock.
const env = systemEnv(silentLog)

/** As `handshake`, when it is to fail. */
async function refusal(...args: Parameters<typeof handshake>): Promise<string> {
  const seen = await handshake(...args)
  assert.equal(typeof seen, 'string')
  return JSON.stringify(seen).slice(1)
}

/** What the server saw of one client: an identity, `anonymous`, or the reason of a refusal on either side. */
async function handshake(
  t: TestContext,
  server: NodeCredentials,
  client: ConnectionOptions,
  roots?: readonly string[],
): Promise<NodeIdentity | string> {
  const path = join(temporaryFolder(t), 'socket')
  const listener = createServer(serverTlsOptions(server, roots)).listen(path)
  const broken = new Promise<string>((resolve) => {
    listener.once('tlsClientError', (error) => resolve(error.message))
  })
  await once(listener, 'listening')
  const seen = new Promise<NodeIdentity | string>((resolve) => {
    listener.once('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined)
      try {
        resolve(peerIdentity(socket) ?? 'anonymous')
      } catch (error) {
        resolve((error as Error).message)
      }
    })
  })
  const socket = connect({ ...client, path })
  const refused = new Promise<string>((resolve) => {
    socket.once('error', (error) => resolve(`client: ${error.message}`))
  })
  try {
    await Promise.race([once(socket, 'secureConnect').catch(() => undefined), refused])
    return socket.authorized ? await Promise.race([seen, broken]) : await refused
  } finally {
    socket.destroy()
    listener.close()
  }
}

test('both sides prove themselves, and the server reads who the client is', async (t) => {
  const root = newRoot(env)
  const server = newNode(env, root)
  const client = newNode(env, root, { nodeId: 'node2', role: 'worker' })
  assert.deepEqual(await handshake(t, server, clientTlsOptions(client)), {
    nodeId: 'node2',
    role: 'worker',
    clusterId: 'cluster1',
  })
})

test('a joining node has no certificate: anonymous, but the server proves itself', async (t) => {
  const root = newRoot(env)
  const server = newNode(env, root)
  assert.equal(await handshake(t, server, joinTlsOptions(root.certificate.pem)), 'anonymous')
  const other = newRoot(env).certificate.pem
  assert.match(await refusal(t, server, joinTlsOptions(other)), /^client: .*(signature|self)/)
})

test('a certificate of another cluster is refused, not taken for none', async (t) => {
  const root = newRoot(env)
  const foreign = newNode(env, newRoot(env))
  const client = clientTlsOptions({ ...foreign, rootPem: root.certificate.pem })
  assert.match(await refusal(t, newNode(env, root), client), /certificate is not valid/)
})

test('an expired certificate is refused', async (t) => {
  const root = newRoot(env)
  const expired = newNode(env, root, { expiryMs: -60_000 })
  const seen = await refusal(t, newNode(env, root), clientTlsOptions(expired))
  assert.match(seen, /certificate is not valid: .*(expired|EXPIRED)/)
})

test('a worker cannot pose as a manager', async (t) => {
  const root = newRoot(env)
  const impostor = newNode(env, root, { role: 'worker' })
  const seen = await refusal(t, impostor, clientTlsOptions(newNode(env, root)))
  assert.match(seen, /^client: .*swarm-manager/)
})

test('while the root rotates, old and new nodes talk to each other', async (t) => {
  const oldRoot = newRoot(env)
  const { certPem, keyPem } = createRootCa(env)
  const newSigner = createSigner(certPem, keyPem, crossSign(oldRoot, parseCertificate(certPem)))
  const oldNode = newNode(env, oldRoot, { nodeId: 'old' })
  // A renewed node still trusts the old root: the new one is handed out when all have renewed.
  const renewed = { ...newNode(env, newSigner, { nodeId: 'new' }), rootPem: oldRoot.certificate.pem }
  assert.equal(((await handshake(t, oldNode, clientTlsOptions(renewed))) as NodeIdentity).nodeId, 'new')
  assert.equal(((await handshake(t, renewed, clientTlsOptions(oldNode))) as NodeIdentity).nodeId, 'old')
})

test('roots without an identifier of their key are replaced like others', async (t) => {
  for (const kind of ['ec', 'rsa'] as const) {
    const before = newImportedRoot(kind)
    const after = newImportedRoot(kind, { subject: { commonName: 'the next root' } })
    const oldRoot = createSigner(before.certPem, before.keyPem)
    const crossSigned = crossSign(oldRoot, parseCertificate(after.certPem))
    const newSigner = createSigner(after.certPem, after.keyPem, crossSigned)
    const oldNode = newNode(env, oldRoot, { nodeId: 'old' })
    const renewed = { ...newNode(env, newSigner, { nodeId: 'new' }), rootPem: before.certPem }
    const moved = { ...renewed, rootPem: after.certPem }
    const seen = async (...args: Parameters<typeof handshake>) =>
      ((await handshake(...args)) as NodeIdentity).nodeId
    assert.equal(await seen(t, oldNode, clientTlsOptions(renewed)), 'new')
    assert.equal(await seen(t, renewed, clientTlsOptions(oldNode)), 'old')
    assert.equal(await seen(t, moved, clientTlsOptions(renewed)), 'new')
    assert.equal(await seen(t, renewed, clientTlsOptions(moved)), 'new')
    assert.match(await refusal(t, moved, clientTlsOptions(oldNode)), /certificate is not valid/)
  }
})

/** Connects with `client`, and gives what `look` makes of the server's and of the client's end. */
async function bothEnds<T>(
  t: TestContext,
  server: NodeCredentials,
  client: ConnectionOptions,
  look: (socket: TLSSocket) => T,
): Promise<readonly [T, T]> {
  const path = join(temporaryFolder(t), 'socket')
  const listener = createServer(serverTlsOptions(server)).listen(path)
  await once(listener, 'listening')
  const seen = new Promise<T>((resolve, reject) => {
    listener.once('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined)
      try {
        resolve(look(socket))
      } catch (error) {
        reject(error)
      }
    })
  })
  const socket = connect({ ...client, path })
  try {
    await once(socket, 'secureConnect')
    return [await seen, look(socket)]
  } finally {
    socket.destroy()
    listener.close()
  }
}

test('where it is asked for, a certificate whose time is over still says who somebody is', async (t) => {
  const root = newRoot(env)
  const server = newNode(env, root, { expiryMs: -60_000 })
  const client = newNode(env, root, { nodeId: 'node2', role: 'worker', expiryMs: -60_000 })
  const lenient = { rootPem: root.certificate.pem, nowMs: env.nowMs() }
  const ends = bothEnds(t, server, lenientTlsOptions(clientTlsOptions(client)), (socket) =>
    peerIdentity(socket, lenient),
  )
  assert.deepEqual(
    (await ends).map((identity) => identity?.nodeId),
    ['node2', 'node1'],
  )
  await assert.rejects(
    bothEnds(t, server, lenientTlsOptions(clientTlsOptions(client)), (socket) => peerIdentity(socket)),
    /certificate is not valid: CERT_HAS_EXPIRED/,
  )
})

test('leniency ends at another root, and at a certificate that is not valid yet', async (t) => {
  const root = newRoot(env)
  const lenient = { rootPem: root.certificate.pem, nowMs: env.nowMs() }
  const look = (socket: TLSSocket) => peerIdentity(socket, lenient)
  const server = newNode(env, root)
  const foreign = newNode(env, newRoot(env), { expiryMs: -60_000 })
  const early = newNode({ ...env, nowMs: () => env.nowMs() + 86_400_000 }, root)
  for (const client of [foreign, early]) {
    await assert.rejects(bothEnds(t, server, lenientTlsOptions(clientTlsOptions(client)), look), {
      code: 'Unauthenticated',
    })
  }
})

test('no session is taken up again: certificates are looked at each time', async (t) => {
  const root = newRoot(env)
  const server = newNode(env, root)
  const options = clientTlsOptions(newNode(env, root, { nodeId: 'node2' }))
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const path = join(temporaryFolder(t), 'socket')
    const listener = createServer(serverTlsOptions(server)).listen(path)
    t.after(() => listener.close())
    await once(listener, 'listening')
    listener.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined)
      socket.end('hello')
    })
    const visit = async (earlier?: Buffer) => {
      const socket = connect({
        ...options,
        maxVersion,
        path,
        ...(earlier !== undefined && { session: earlier }),
      })
      const sessions: Buffer[] = []
      socket.on('session', (each: Buffer) => sessions.push(each))
      await once(socket, 'secureConnect')
      const isReused = socket.isSessionReused()
      const session = socket.getSession()
      socket.resume()
      await once(socket, 'close')
      return { isReused, session: sessions.at(-1) ?? session }
    }
    const first = await visit()
    assert.equal((await visit(first.session)).isReused, false, maxVersion)
  }
})
