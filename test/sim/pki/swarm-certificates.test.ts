import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  certificateIdentity,
  createRootCa,
  createSigner,
  generateKey,
  issueNodeCertificate,
  issuerOf,
  parseCertificate,
  parseCertificates,
  publicKeyDer,
  tlsInfo,
  verifyChain,
  type NodeCredentials,
} from '../../../src/ca/index.js'
import { createControl } from '../../../src/control/index.js'
import { CaServer } from '../../../src/manager/ca-server.js'
import { RootRotation } from '../../../src/manager/root-rotation.js'
import { defaultSwarmSpec } from '../../../src/model/cluster-defaults.js'
import { clusterError } from '../../../src/model/errors.js'
import type { SwarmSpec } from '../../../src/model/spec/index.js'
import { CertificateRenewer } from '../../../src/node/certificate-renewer.js'
import type { Store } from '../../../src/store/store.js'
import { instantStore } from '../../lib/instant-store.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

const hourMs = 60 * 60 * 1000
const dayMs = 24 * hourMs
const clusterId = 'cluster1'

/** A node of the swarm: its certificate and what renews it are real, connections are calls. */
class SimulatedNode {
  isOnline = true
  renewals = 0
  readonly id: string
  readonly #env: SimulatedEnv
  readonly #store: Store
  readonly #renewer: CertificateRenewer
  #credentials: NodeCredentials

  constructor(env: SimulatedEnv, store: Store, ca: CaServer, id: string, credentials: NodeCredentials) {
    this.#env = env
    this.#store = store
    this.id = id
    this.#credentials = credentials
    const own = () => this.#credentials
    this.#renewer = new CertificateRenewer(env, {
      keys: {
        get certificate() {
          return parseCertificate(own().certificatePem)
        },
        get credentials() {
          return own()
        },
        saveCertificate: (key, certificatePem) => {
          this.#credentials = { ...this.#credentials, key, certificatePem }
          return Promise.resolve()
        },
        setUnlockKey: () => Promise.resolve('unchanged'),
      },
      request: (csrPem) =>
        this.isOnline
          ? ca.issue({ csrPem }, certificateIdentity(this.certificate))
          : Promise.reject(clusterError('Unavailable', 'no manager is known')),
      onRenewed: () => {
        this.renewals++
        return this.report()
      },
    })
    store.watch(() => this.listen())
  }

  get certificate() {
    return parseCertificate(this.#credentials.certificatePem)
  }

  get trustedRoot(): string {
    return this.#credentials.rootPem
  }

  start(): void {
    this.#renewer.start()
  }

  /** What its session would tell it. */
  listen(): void {
    const node = this.#store.view.nodes.get(this.id)
    const rootPem = this.#store.view.clusters.get(clusterId)?.rootCa.certPem
    if (!this.isOnline || node === undefined || rootPem === undefined) return
    if (rootPem !== this.#credentials.rootPem && this.#isTrustworthy(rootPem)) {
      this.#credentials = { ...this.#credentials, rootPem }
      void this.report()
    }
    if (node.certificate?.status === 'rotate') this.#renewer.renewNow()
  }

  /** What it would tell the managers. */
  async report(): Promise<void> {
    const { certificatePem, rootPem } = this.#credentials
    const TLSInfo = tlsInfo(rootPem, issuerOf(certificatePem, rootPem))
    await this.#store.update((tx) => {
      tx.update('nodes', this.id, {
        description: { Hostname: this.id, TLSInfo },
        status: { state: 'ready', message: '', addr: '' },
      })
    })
  }

  stop(): Promise<void> {
    return this.#renewer.stop()
  }

  #isTrustworthy(rootPem: string): boolean {
    const [leaf, ...intermediates] = parseCertificates(this.#credentials.certificatePem)
    try {
      verifyChain(leaf, { roots: parseCertificates(rootPem), intermediates, nowMs: this.#env.nowMs() })
      return true
    } catch {
      return false
    }
  }
}

/** A swarm of `count` nodes with the certificates of its founding. */
async function newSwarm(seed: number, count: number) {
  console.log(`seed ${seed}`)
  const env = new SimulatedEnv(seed)
  const store = instantStore(env)
  const root = createRootCa(env)
  const signer = createSigner(root.certPem, root.keyPem)
  await store.update((tx) => {
    tx.create('clusters', {
      id: clusterId,
      spec: defaultSwarmSpec,
      rootCa: { ...root, lastForcedRotation: 0 },
      joinTokens: { worker: 'w', manager: 'm' },
      defaultAddressPools: null,
      subnetSize: 24,
      dataPathPort: 4789,
      blacklistedCertificates: {},
    })
  })
  const credentialsOf = (nodeId: string): NodeCredentials => {
    const key = generateKey()
    const identity = { nodeId, role: 'worker', clusterId } as const
    const expiryMs = 90 * dayMs
    const wish = { ...identity, publicKeyDer: publicKeyDer(key), expiryMs }
    return { key, certificatePem: issueNodeCertificate(env, signer, wish), rootPem: root.certPem }
  }
  const ca = new CaServer(env, store, () => credentialsOf('node0'))
  const nodes = Array.from({ length: count }, (_, index) => {
    const id = `node${index}`
    return new SimulatedNode(env, store, ca, id, credentialsOf(id))
  })
  await store.update((tx) => {
    for (const { id, certificate } of nodes) {
      tx.create('nodes', {
        id,
        spec: { Labels: {}, Role: 'worker', Availability: 'active' },
        role: 'worker',
        status: { state: 'ready', message: '', addr: '' },
        certificate: { role: 'worker', status: 'issued', certificatePem: certificate.pem },
      })
    }
  })
  for (const node of nodes) {
    await node.report()
    node.start()
  }
  const control = createControl(env, store)
  const cluster = () => {
    const found = store.view.clusters.get(clusterId)
    assert.ok(found)
    return found
  }
  const update = (spec: SwarmSpec) =>
    control.updateSwarm({
      version: cluster().version,
      spec,
      rotateWorkerToken: false,
      rotateManagerToken: false,
      rotateManagerUnlockKey: false,
    })
  return { env, store, ca, nodes, control, cluster, update }
}

const seed = Number(process.env['SKEP_SEED'] ?? 1)

test('certificates are renewed for more than a year, and none runs out', async () => {
  const { env, nodes, update } = await newSwarm(seed, 8)
  const check = () => {
    for (const { certificate } of nodes) assert.ok(certificate.notAfterMs - env.nowMs() > 17 * dayMs)
  }
  for (let day = 0; day < 400; day++) {
    await env.advanceAsync(dayMs)
    check()
  }
  // At half to four fifths of 90 days: some five to nine times in 400 days.
  for (const { id, renewals } of nodes) assert.ok(renewals >= 5 && renewals <= 9, `${id}: ${renewals}`)
  const days = new Set(nodes.map(({ certificate }) => Math.floor(certificate.notBeforeMs / dayMs)))
  assert.ok(days.size > 3, 'they do not renew at once')

  await update({ ...defaultSwarmSpec, CAConfig: { NodeCertExpiry: 10 * dayMs * 1e6 } })
  // A shorter life begins with the next renewal.
  for (let day = 0; day < 73; day++) await env.advanceAsync(dayMs)
  for (const { certificate } of nodes) {
    assert.equal(certificate.notAfterMs - certificate.notBeforeMs, 10 * dayMs + hourMs)
    assert.ok(certificate.notAfterMs > env.nowMs())
  }
  await Promise.all(nodes.map((node) => node.stop()))
})

test('who was away until its certificate had run out gets a new one, unless it was removed', async () => {
  const { env, nodes, control } = await newSwarm(seed, 3)
  const [, away, removed] = nodes
  assert.ok(away && removed)
  away.isOnline = false
  removed.isOnline = false
  await env.advanceAsync(95 * dayMs)
  assert.ok(away.certificate.notAfterMs < env.nowMs())
  await control.removeNode({ id: removed.id, force: true })
  away.isOnline = true
  removed.isOnline = true
  // It asks at least once an hour.
  await env.advanceAsync(2 * hourMs)
  assert.ok(away.certificate.notAfterMs > env.nowMs())
  assert.equal(certificateIdentity(away.certificate).nodeId, away.id)
  assert.ok(removed.certificate.notAfterMs < env.nowMs())
  await Promise.all(nodes.map((node) => node.stop()))
})

test('a new root reaches all nodes, and the rotation ends when the last of them has come back', async () => {
  const { env, store, nodes, cluster, update } = await newSwarm(seed, 80)
  const rotation = new RootRotation(env, store)
  const [first] = nodes
  const away = nodes.at(-1)
  assert.ok(first && away)
  const oldRoot = cluster().rootCa.certPem
  away.isOnline = false
  await store.update((tx) => {
    tx.update('nodes', away.id, { status: { state: 'down', message: '', addr: '' } })
  })
  let atOnce = 0
  store.watch(() => {
    const asked = store.view.nodes.list().filter(({ certificate }) => certificate?.status === 'rotate')
    atOnce = Math.max(atOnce, asked.length)
  })
  await update({ ...defaultSwarmSpec, CAConfig: { ...defaultSwarmSpec.CAConfig, ForceRotate: 1 } })
  await env.advanceAsync(30_000)
  assert.equal(nodes.filter(({ renewals }) => renewals === 1).length, 79)
  assert.ok(atOnce > 1 && atOnce <= 30, `${atOnce} at once`)
  assert.ok(cluster().rootCa.rotation, 'it waits')
  assert.equal(cluster().joinTokens.worker, 'w')
  // Old and new certificates count for everybody meanwhile.
  for (const { certificate, trustedRoot } of nodes) {
    assert.equal(trustedRoot, oldRoot)
    const [leaf, ...intermediates] = parseCertificates(
      store.view.nodes.get(certificateIdentity(certificate).nodeId)?.certificate?.certificatePem ?? '',
    )
    verifyChain(leaf, { roots: [parseCertificate(oldRoot)], intermediates, nowMs: env.nowMs() })
  }

  away.isOnline = true
  await away.report()
  await env.advanceAsync(10_000)
  const { rootCa, joinTokens: tokens } = cluster()
  assert.equal(rootCa.rotation, undefined)
  assert.notEqual(rootCa.certPem, oldRoot)
  assert.match(tokens.worker, /^SWMTKN-1-/)
  assert.ok(nodes.every(({ trustedRoot }) => trustedRoot === rootCa.certPem))
  await rotation.stop()
  await Promise.all(nodes.map((node) => node.stop()))
})

test('a rotation that is called off takes nodes back to the former root', async () => {
  const { env, store, nodes, cluster, update } = await newSwarm(seed, 4)
  const rotation = new RootRotation(env, store)
  const away = nodes.at(-1)
  assert.ok(away)
  away.isOnline = false
  await store.update((tx) => {
    tx.update('nodes', away.id, { status: { state: 'down', message: '', addr: '' } })
  })
  const { certPem, keyPem } = cluster().rootCa
  await update({ ...defaultSwarmSpec, CAConfig: { ForceRotate: 1 } })
  await env.advanceAsync(5000)
  assert.deepEqual(
    nodes.map(({ renewals }) => renewals),
    [1, 1, 1, 0],
  )
  await update({
    ...defaultSwarmSpec,
    CAConfig: {
      ForceRotate: 1,
      SigningCACert: certPem,
      ...(keyPem !== undefined && { SigningCAKey: keyPem }),
    },
  })
  await env.advanceAsync(5000)
  assert.equal(cluster().rootCa.rotation, undefined)
  assert.deepEqual(
    nodes.map(({ renewals }) => renewals),
    [2, 2, 2, 0],
  )
  const root = parseCertificate(certPem)
  for (const { certificate } of nodes) verifyChain(certificate, { roots: [root], nowMs: env.nowMs() })
  await rotation.stop()
  await Promise.all(nodes.map((node) => node.stop()))
})
