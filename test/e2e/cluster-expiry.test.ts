import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSigner } from '../../src/ca/index.js'
import { newImportedRoot } from '../lib/certificates.js'
import { TestCluster } from '../lib/cluster.js'
import { eventually as within } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { certificateOf, dayMs, letExpire, swarmOf } from './node-certificates.js'

/** On a busy machine, too. */
const eventually = <T>(what: string, attempt: Parameters<typeof within<T>>[1]) =>
  within(what, attempt, 60_000)

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
    await eventually('all nodes to have new certificates', () =>
      cluster.nodes.every((node) => certificateOf(node).notAfterMs > Date.now()),
    )
    await eventually(
      'all nodes to be back',
      async () => (await cluster.list()).filter((line) => line.includes(' ready ')).length === 3,
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
