import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  certificateIdentity,
  createSigner,
  issueNodeCertificate,
  parseCertificate,
  type Signer,
} from '../../src/ca/index.js'
import { newImportedRoot } from '../lib/certificates.js'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { SimulatedEnv } from '../lib/simulated-env.js'

const dayMs = 24 * 60 * 60 * 1000

test(
  'the root is replaced while tasks run, and waits for a node that is away',
  { skip: needs('cli') },
  async (t) => {
    const cluster = await TestCluster.start(4)
    t.after(() => cluster.stop())
    const [one, three] = [cluster.node(1), cluster.node(3)]
    await cluster.init()
    await cluster.join(2, 'manager')
    await cluster.join(3, 'worker')
    await one.docker.ok('service create --detach --name web --replicas 3 busybox sleep 1000000')
    const tasks = async () =>
      (await one.docker.ok('service ps web --no-trunc --format {{.ID}}_{{.CurrentState}}'))
        .trim()
        .split('\n')
        .map((line) => line.replace(/_(\w+).*/, ' $1'))
        .sort()
    const before = await eventually('three tasks to run', async () => {
      const lines = await tasks()
      return lines.length === 3 && lines.every((line) => line.endsWith('Running')) && lines
    })
    const firstRoot = await one.docker.ok('swarm ca')
    const firstToken = await cluster.token('worker')

    const shown = await one.docker.ok('swarm ca --rotate')
    const secondRoot = await one.docker.ok('swarm ca')
    assert.notEqual(secondRoot, firstRoot)
    const lines = shown.split('\n')
    assert.deepEqual(lines.slice(0, 3), [
      'desired root digest: ',
      '  rotated TLS certificates: ',
      '  rotated CA certificates:  ',
    ])
    assert.ok(shown.includes(`desired root digest: sha256:${digestOf(secondRoot)}\n${secondRoot}`), shown)
    assert.deepEqual(await tasks(), before)
    assert.notEqual(await cluster.token('worker'), firstToken)
    const refused = await cluster.node(4).docker.fails(cluster.joinLine(4, firstToken))
    assert.match(refused, /remote CA does not match fingerprint\. Expected: [0-9a-f]{64}/)
    await cluster.join(4, 'worker', 2)

    await three.skepd.kill()
    await eventually('node-3 to be down', async () =>
      (await cluster.list()).some((line) => line.startsWith('node-3 down')),
    )
    await one.docker.ok('swarm ca --rotate --detach')
    const warnings = async () => (await one.docker.run(['info', '--format', '{{json .Warnings}}'])).stdout
    await eventually('only node-3 to be waited for', async () => {
      const issuers = await nodeIssuers(one)
      return issuers.filter((issuer) => issuer === issuers[0]).length === 3
    })
    assert.match(await warnings(), /the rotation of the root CA waits for nodes that are down: node-3\./)
    assert.equal((await swarmOf(one)).RootRotationInProgress, true)
    assert.equal(await one.docker.ok('swarm ca'), secondRoot)
    await three.skepd.restart()
    await eventually('the second rotation to end', async () => !(await swarmOf(one)).RootRotationInProgress)
    assert.doesNotMatch(await warnings(), /rotation/)
    const thirdRoot = await one.docker.ok('swarm ca')
    await eventually('all to trust the third root', () =>
      cluster.nodes.every((node) => trustedRoot(node) === thirdRoot),
    )
    assert.ok((await cluster.list()).every((line) => line.includes(' ready ')))
  },
)

test(
  'a swarm that was off for longer than its certificates live comes back',
  { skip: needs('cli') },
  async (t) => {
    const cluster = await TestCluster.start(3)
    t.after(() => cluster.stop())
    const one = cluster.node(1)
    await cluster.init()
    await cluster.join(2, 'manager')
    await cluster.join(3, 'worker')

    const root = newImportedRoot('rsa')
    const [certPath, keyPath] = [join(one.skepd.dir, 'root.crt'), join(one.skepd.dir, 'root.key')]
    writeFileSync(certPath, root.certPem)
    writeFileSync(keyPath, root.keyPem)
    assert.match(
      await one.docker.fails(`swarm ca --rotate --ca-cert ${certPath}`),
      /--ca-cert flag requires that a --ca-key flag and\/or --external-ca flag be provided/,
    )
    await one.docker.ok(
      `swarm ca --rotate --quiet --cert-expiry 48h --ca-cert ${certPath} --ca-key ${keyPath}`,
    )
    assert.equal(await one.docker.ok('swarm ca'), root.certPem)
    const { NodeCertExpiry: expiry } = (await swarmOf(one)).Spec.CAConfig
    assert.equal(expiry, 48 * 3600e9)
    for (const node of cluster.nodes) {
      const { notBeforeMs, notAfterMs } = certificateOf(node)
      assert.equal(notAfterMs - notBeforeMs, 2 * dayMs + dayMs / 24)
    }

    await Promise.all(cluster.nodes.map(({ skepd }) => skepd.kill()))
    const signer = createSigner(root.certPem, root.keyPem)
    for (const node of cluster.nodes) letExpire(node, signer)
    await Promise.all(cluster.nodes.map(({ skepd }) => skepd.restart()))
    await eventually(
      'all nodes to have new certificates',
      () => cluster.nodes.every((node) => certificateOf(node).notAfterMs > Date.now()),
      60_000,
    )
    await eventually(
      'all nodes to be back',
      async () => (await cluster.list()).filter((line) => line.includes(' ready ')).length === 3,
      60_000,
    )

    await cluster.node(3).skepd.kill()
    await eventually('node-3 to be down', async () =>
      (await cluster.list()).some((line) => line.startsWith('node-3 down')),
    )
    letExpire(cluster.node(3), signer)
    await one.docker.ok('node rm node-3')
    await cluster.node(3).skepd.restart()
    const certificate = certificateOf(cluster.node(3)).pem
    await eventually('node-3 to be refused', () =>
      /was removed|A valid join token is necessary/.test(cluster.node(3).skepd.log()),
    )
    assert.equal(certificateOf(cluster.node(3)).pem, certificate)
    assert.equal((await cluster.list()).length, 2)
  },
)

interface SwarmJson {
  readonly RootRotationInProgress: boolean
  readonly Spec: { readonly CAConfig: { readonly NodeCertExpiry: number } }
}

async function swarmOf({ skepd }: ClusterNode): Promise<SwarmJson> {
  return JSON.parse((await skepd.request('GET', '/v1.44/swarm')).text) as SwarmJson
}

/** The key of each node's issuer. */
async function nodeIssuers({ skepd }: ClusterNode): Promise<readonly string[]> {
  const nodes = JSON.parse((await skepd.request('GET', '/v1.44/nodes')).text) as {
    readonly Description: { readonly TLSInfo: { readonly CertIssuerPublicKey: string } }
  }[]
  return nodes.map(({ Description }) => Description.TLSInfo.CertIssuerPublicKey)
}

function digestOf(pem: string): string {
  return createHash('sha256').update(pem).digest('hex')
}

function certificates({ skepd }: ClusterNode): string {
  return join(skepd.dataRoot, 'swarm', 'certificates')
}

function trustedRoot(node: ClusterNode): string {
  return readFileSync(join(certificates(node), 'swarm-root-ca.crt'), 'utf8')
}

function certificateOf(node: ClusterNode) {
  return parseCertificate(readFileSync(join(certificates(node), 'swarm-node.crt'), 'utf8'))
}

/** Gives a node that does not run the certificate that it would have had a hundred days ago. */
function letExpire(node: ClusterNode, signer: Signer): void {
  const certificate = certificateOf(node)
  const past = new SimulatedEnv(1, { startMs: Date.now() - 100 * dayMs })
  const expired = issueNodeCertificate(past, signer, {
    ...certificateIdentity(certificate),
    publicKeyDer: certificate.publicKeyDer,
    expiryMs: 90 * dayMs,
  })
  writeFileSync(join(certificates(node), 'swarm-node.crt'), expired)
}
