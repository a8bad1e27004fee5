import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  clientTlsOptions,
  lenientTlsOptions,
  peerIdentity,
  type NodeCredentials,
  type NodeIdentity,
} from '../../../src/ca/index.js'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import { callNode, type Caller } from '../../../src/node/cluster-calls.js'
import { ClusterServer, type SocketRoute } from '../../../src/node/cluster-server.js'
import { openSocket } from '../../../src/node/open-socket.js'
import { aManager, newNode, newRoot } from '../ca/helpers.js'

// OpenSSL compares dates with the machine's clock.
const env = systemEnv(silentLog)
const root = newRoot(env)
const node = (fields: Partial<NodeIdentity> & { readonly expiryMs?: number }) => newNode(env, root, fields)
const expired = { expiryMs: -60_000 }

/** A cluster port with a path and a call of each kind, to which the node `gone` was removed. */
async function listen(t: TestContext, own: NodeCredentials = node(aManager)) {
  const route = (fields: Partial<SocketRoute>): SocketRoute => ({
    roles: ['manager'],
    accept: (socket) => socket.close(),
    ...fields,
  })
  const whoCalls = (_args: unknown, { identity }: Caller) => Promise.resolve(identity?.nodeId ?? 'nobody')
  const server = new ClusterServer(env, aManager.clusterId, own, {
    sockets: new Map([
      ['/plain', route({})],
      ['/raft', route({ takesExpired: true })],
      ['/session', route({ roles: ['manager', 'worker'], takesRemoved: true })],
    ]),
    calls: new Map([
      ['next', whoCalls],
      ['other', whoCalls],
    ]),
    expiredMayCall: new Set(['next']),
    isRemoved: (nodeId) => nodeId === 'gone',
  })
  t.after(() => server.close())
  const address = await server.listen({ host: '127.0.0.1', port: 0 })
  const open = async (path: string, credentials: NodeCredentials) => {
    const url = `wss://127.0.0.1:${address.port}${path}`
    const socket = await openSocket(url, { tls: clientTlsOptions(credentials), timeoutMs: 5000 })
    socket.terminate()
    return 'open'
  }
  const call = async (name: string, credentials: NodeCredentials) =>
    (await callNode(env, address, name, {}, { tls: clientTlsOptions(credentials) })).result
  return { address, open, call }
}

const refused = /the manager refuses this node: 403/

test('a removed node is refused on all paths, and is nobody to calls', async (t) => {
  const { open, call } = await listen(t)
  const gone = node({ nodeId: 'gone' })
  await assert.rejects(open('/plain', gone), refused)
  await assert.rejects(open('/raft', gone), refused)
  // There it is told so in words.
  assert.equal(await open('/session', gone), 'open')
  assert.equal(await call('next', gone), 'nobody')
  assert.equal(await call('other', gone), 'nobody')
  assert.equal(await call('next', node({ ...expired, nodeId: 'gone' })), 'nobody')
})

test('a certificate that ran out opens what leads to the next one, and nothing else', async (t) => {
  const { open, call } = await listen(t)
  const late = node({ ...expired, nodeId: 'late' })
  assert.equal(await open('/raft', late), 'open')
  assert.equal(await call('next', late), 'late')
  await assert.rejects(open('/plain', late), refused)
  await assert.rejects(open('/session', late), refused)
  await assert.rejects(call('other', late), /certificate is not valid: CERT_HAS_EXPIRED/)
})

test('roles and swarms', async (t) => {
  const { open, call } = await listen(t)
  const worker = node({ nodeId: 'worker1', role: 'worker' })
  assert.equal(await open('/session', worker), 'open')
  await assert.rejects(open('/plain', worker), refused)
  const foreign = node({ clusterId: 'another swarm with the same root' })
  await assert.rejects(open('/plain', foreign), refused)
  assert.equal(await call('other', foreign), 'nobody')
  assert.equal(await call('other', worker), 'worker1')
})

test('who asks a manager whose certificate ran out knows with whom it speaks', async (t) => {
  const { address, call } = await listen(t, node({ ...aManager, ...expired }))
  const worker = node({ nodeId: 'worker1', role: 'worker' })
  await assert.rejects(call('next', worker), { code: 'Unavailable', message: /certificate has expired/ })
  const lenient = { rootPem: root.certificate.pem, nowMs: env.nowMs() }
  const callWith = (mayAnswer: (identity: NodeIdentity | undefined) => boolean) =>
    callNode(
      env,
      address,
      'next',
      {},
      {
        tls: lenientTlsOptions(clientTlsOptions(worker)),
        verify: (socket) => {
          if (!mayAnswer(peerIdentity(socket, lenient))) throw new Error('somebody else')
        },
      },
    )
  assert.equal((await callWith((identity) => identity?.nodeId === aManager.nodeId)).result, 'worker1')
  await assert.rejects(
    callWith(() => false),
    { code: 'Unavailable', message: /somebody else/ },
  )
})
