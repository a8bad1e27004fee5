import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { certificateIdentity, issuerOf, parseCertificate } from '../../src/ca/index.js'
import { newImportedRoot } from '../lib/certificates.js'
import { CfsslServer } from '../lib/cfssl-server.js'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { needs } from '../lib/needs.js'

test('a swarm moves to an external CA, lives with it, and moves back', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(3)
  t.after(() => cluster.stop())
  const one = cluster.node(1)
  await cluster.init()
  await cluster.join(2, 'worker')
  const firstRoot = await one.docker.ok('swarm ca')
  const root = newImportedRoot('ec')
  const server = await CfsslServer.start(root, [firstRoot, root.certPem])
  t.after(() => server.stop())
  const certPath = join(one.skepd.dir, 'root.crt')
  writeFileSync(certPath, root.certPem)
  const external = `--external-ca protocol=cfssl,url=${server.url},cacert=${certPath}`
  assert.match(
    await one.docker.fails(`swarm ca --rotate ${external}`),
    /rotating to an external CA requires the `--ca-cert` flag/,
  )
  assert.match(
    await one.docker.fails(
      `swarm ca --rotate --ca-cert ${certPath} --external-ca protocol=cfssl,url=https://127.0.0.1:1`,
    ),
    /there must be at least one valid, reachable external CA corresponding to the desired CA certificate/,
  )

  await one.docker.ok(`swarm ca --rotate --quiet --ca-cert ${certPath} ${external}`)
  assert.equal(await one.docker.ok('swarm ca'), root.certPem)
  await cluster.join(3, 'worker')
  const ids = cluster.nodes.map((node) => certificateIdentity(certificateOf(node)).nodeId)
  assert.deepEqual(server.signed.toSorted(), ids.toSorted())
  for (const node of cluster.nodes) assert.ok(isIssuedBy(node, root.certPem), node.name)

  // Nobody else could sign the next root.
  assert.match(
    await one.docker.fails('swarm update --external-ca protocol=cfssl,url=https://127.0.0.1:1'),
    /there must be at least one valid, reachable external CA corresponding to the current CA certificate/,
  )
  await one.docker.ok('swarm ca --rotate --quiet')
  const lastRoot = await one.docker.ok('swarm ca')
  assert.notEqual(lastRoot, root.certPem)
  for (const node of cluster.nodes) assert.ok(isIssuedBy(node, lastRoot), node.name)
  assert.equal(server.signed.at(-1), 'swarm-ca')
  assert.ok((await cluster.list()).every((line) => line.includes(' ready ')))
})

function certificateOf({ skepd }: ClusterNode) {
  return parseCertificate(readFileSync(join(skepd.dataRoot, 'swarm/certificates/swarm-node.crt'), 'utf8'))
}

function isIssuedBy(node: ClusterNode, rootPem: string): boolean {
  const certificate = certificateOf(node)
  const issuer = issuerOf(certificate.pem, rootPem)
  return issuer.subjectDer.equals(certificate.issuerDer)
}
