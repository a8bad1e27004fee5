import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

test('a join that takes more than 20 s goes on in the background', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(2)
  const [one, two] = [cluster.node(1), cluster.node(2)]
  const resume = () => process.kill(one.skepd.pid, 'SIGCONT')
  t.after(async () => {
    resume()
    await cluster.stop()
  })
  await cluster.init()
  const line = cluster.joinLine(2, await cluster.token('worker'))
  const localState = async () => (await two.docker.ok('info --format {{.Swarm.LocalNodeState}}')).trim()

  // It takes connections and says nothing.
  process.kill(one.skepd.pid, 'SIGSTOP')
  const startMs = performance.now()
  assert.equal(
    await two.docker.fails(line),
    'Error response from daemon: Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.\n',
  )
  const tookMs = performance.now() - startMs
  assert.ok(tookMs >= 20_000, `it took ${tookMs} ms`)
  assert.equal(await localState(), 'pending')
  assert.match(await two.docker.fails(line), /This node is already part of a swarm/)
  resume()
  await eventually('node-2 to have joined', async () => (await localState()) === 'active', 60_000)
  assert.deepEqual(await cluster.list(), ['node-1 ready active leader', 'node-2 ready active'])
})
