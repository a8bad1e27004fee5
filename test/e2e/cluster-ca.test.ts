import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { eventually as within } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { digestOf, nodeIssuers, swarmOf, trustedRoot } from './node-certificates.js'

/** On a busy machine, too. */
const eventually = <T>(what: string, attempt: Parameters<typeof within<T>>[1]) =>
  within(what, attempt, 60_000)

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
    const { CertIssuerPublicKey: wanted } = (await swarmOf(one)).TLSInfo
    await eventually('only node-3 to be waited for', async () => {
      const issuers = await nodeIssuers(one)
      return issuers.filter((issuer) => issuer === wanted).length === 3
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
