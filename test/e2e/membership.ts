import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { ClusterNode, TestCluster } from '../lib/cluster.js'
import { eventually as eventuallyWithin } from '../lib/eventually.js'

const daemon = 'Error response from daemon: '
const workerText = `${daemon}This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.\n`
const wrongTokenText = `${daemon}rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster\n`
const alreadyText = `${daemon}This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.\n`

/** However busy the machine is: what has to happen happens, and a hang is found all the same. */
const eventually = <T>(what: string, attempt: () => T | undefined | false | Promise<T | undefined | false>) =>
  eventuallyWithin(what, attempt, 60_000)

/** A cluster of five from `swarm init` to nodes that leave and return; every text is Docker's. */
export async function membership(t: TestContext, cluster: TestCluster): Promise<void> {
  const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
  const [four, five] = [cluster.node(4), cluster.node(5)]

  /** Waits until each of the managers shows exactly these lines. */
  const show = async (managers: readonly ClusterNode[], lines: readonly string[]) => {
    for (const manager of managers) {
      await eventually(
        `${manager.name} to show ${lines.join(', ')}`,
        async () => (await cluster.list(cluster.nodes.indexOf(manager) + 1)).join() === lines.join(),
      )
    }
  }
  const isWorker = (node: ClusterNode) =>
    eventually(
      `${node.name} to be a worker`,
      async () => (await node.docker.run(['node', 'ls'])).stderr === workerText,
    )
  /** A line that somebody shows, whoever leads. */
  const back = (node: ClusterNode, from: number) =>
    eventually(`${node.name} to have a vote`, async () =>
      (await cluster.list(from)).some((line) =>
        [`${node.name} ready active reachable`, `${node.name} ready active leader`].includes(line),
      ),
    )
  const invitation = (role: string, token: string, { clusterAddr }: ClusterNode) =>
    `To add a ${role} to this swarm, run the following command:\n\n    docker swarm join --token ${token} ${clusterAddr}\n\n`

  await t.test('init', async () => {
    const text = await cluster.init()
    const id = (await one.docker.ok('info --format {{.Swarm.NodeID}}')).trim()
    assert.equal(
      text,
      `Swarm initialized: current node (${id}) is now a manager.\n\n` +
        invitation('worker', await cluster.token('worker'), one) +
        "To add a manager to this swarm, run 'docker swarm join-token manager' and follow the instructions.\n",
    )
    assert.equal(
      await one.docker.ok('swarm join-token manager'),
      invitation('manager', await cluster.token('manager'), one),
    )
    await show([one], ['node-1 ready active leader'])
  })

  await t.test('joins by both tokens, at the leader and at a follower', async () => {
    assert.equal(await cluster.join(2, 'manager'), 'This node joined a swarm as a manager.\n')
    const { stdout } = await one.docker.run(['info', '--format', '{{json .Swarm.Warnings}}'])
    assert.match(stdout, /two-manager configuration/)
    assert.equal(await cluster.join(3, 'manager', 2), 'This node joined a swarm as a manager.\n')
    assert.equal(await cluster.join(4, 'worker', 3), 'This node joined a swarm as a worker.\n')
    // Each manager invites to itself.
    assert.equal(
      await three.docker.ok('swarm join-token worker'),
      invitation('worker', await cluster.token('worker'), three),
    )
    await show(
      [one, two, three],
      [
        'node-1 ready active leader',
        'node-2 ready active reachable',
        'node-3 ready active reachable',
        'node-4 ready active',
      ],
    )
  })

  await t.test('wrong tokens, and tokens that were rotated', async () => {
    const before = { worker: await cluster.token('worker'), manager: await cluster.token('manager') }
    for (const token of Object.values(before)) {
      const wrongSecret = token.replace(/.{25}$/, '0'.repeat(25))
      assert.equal(await five.docker.fails(cluster.joinLine(5, wrongSecret, 2)), wrongTokenText)
    }
    assert.equal(await five.docker.fails(cluster.joinLine(5, 'SWMTKN-1-x')), `${daemon}invalid join token\n`)
    const wrongRoot = before.worker.replace(/-[0-9a-z]{50}-/, `-${'0'.repeat(49)}1-`)
    assert.equal(
      await five.docker.fails(cluster.joinLine(5, wrongRoot)),
      `${daemon}remote CA does not match fingerprint. Expected: ${'0'.repeat(63)}1\n`,
    )
    const rotated = await two.docker.ok('swarm join-token --rotate manager')
    const manager = await cluster.token('manager')
    assert.notEqual(manager, before.manager)
    assert.equal(
      rotated,
      `Successfully rotated manager join token.\n\n${invitation('manager', manager, two)}`,
    )
    assert.equal(await cluster.token('worker', 3), before.worker)
    assert.equal(await five.docker.fails(cluster.joinLine(5, before.manager, 3)), wrongTokenText)
    const worker = (await three.docker.ok('swarm join-token --rotate -q worker')).trim()
    assert.equal(await five.docker.fails(cluster.joinLine(5, before.worker, 2)), wrongTokenText)
    assert.equal(await five.docker.ok('info --format {{.Swarm.LocalNodeState}}'), 'inactive\n')
    assert.equal(
      await five.docker.ok(cluster.joinLine(5, worker, 2)),
      'This node joined a swarm as a worker.\n',
    )
  })

  await t.test('what a worker answers', async () => {
    const lines = [
      'node ls',
      'service ls',
      'swarm join-token worker',
      'swarm update --autolock',
      'node rm node-4',
    ]
    for (const line of lines) assert.equal(await five.docker.fails(line), workerText, line)
    assert.equal(await five.docker.fails(cluster.joinLine(5, await cluster.token('worker'))), alreadyText)
    assert.equal(await five.docker.fails('swarm init'), alreadyText)
  })

  await t.test('every manager takes writes and shows those of the others', async () => {
    for (const { docker, name } of [one, two, three]) {
      await docker.ok(`config create of-${name} -`, name)
      for (const reader of [one, two, three]) {
        const shown = await reader.docker.ok(`config inspect of-${name} --format {{.Spec.Name}}`)
        assert.equal(shown, `of-${name}\n`)
      }
    }
  })

  await t.test('five managers, and three again', async () => {
    const idOf = async ({ docker }: ClusterNode) =>
      (await docker.ok('info --format {{.Swarm.NodeID}}')).trim()
    assert.equal(
      await two.docker.ok('node promote node-1'),
      `Node ${await idOf(one)} is already a manager.\n`,
    )
    assert.equal(await two.docker.ok('node demote node-4'), `Node ${await idOf(four)} is already a worker.\n`)
    assert.equal(
      await three.docker.ok('node promote node-4 node-5'),
      'Node node-4 promoted to a manager in the swarm.\nNode node-5 promoted to a manager in the swarm.\n',
    )
    const others = ['node-2', 'node-3', 'node-4', 'node-5'].map((name) => `${name} ready active reachable`)
    await show(cluster.nodes, ['node-1 ready active leader', ...others])
    assert.equal(
      await five.docker.ok('node demote node-4 node-5'),
      'Manager node-4 demoted in the swarm.\nManager node-5 demoted in the swarm.\n',
    )
    await Promise.all([isWorker(four), isWorker(five)])
    await show(
      [one, two, three],
      ['node-1 ready active leader', ...others.slice(0, 2), 'node-4 ready active', 'node-5 ready active'],
    )
  })

  await t.test('a leader that is demoted hands over first', async () => {
    assert.equal(await one.docker.ok('node demote node-1'), 'Manager node-1 demoted in the swarm.\n')
    await isWorker(one)
    await eventually('another leader', async () => {
      const lines = await cluster.list(2)
      return lines.includes('node-1 ready active') && lines.some((line) => line.endsWith(' leader'))
    })
    assert.equal(
      await two.docker.ok('node promote node-1'),
      'Node node-1 promoted to a manager in the swarm.\n',
    )
    await back(one, 2)
  })

  await t.test('a manager that is killed is unreachable, and back by itself', async () => {
    // A follower: that another leads for long is not the matter here.
    const lines = await cluster.list(3)
    const [number, from] = lines.some((line) => /^node-1 .* leader$/.test(line)) ? [2, 3] : [1, 2]
    const { name, skepd } = cluster.node(number)
    await skepd.kill()
    await eventually(`${name} to be unreachable`, async () =>
      (await cluster.list(from)).includes(`${name} down active unreachable`),
    )
    const { docker } = cluster.node(from)
    assert.equal(
      await docker.fails('node demote node-3'),
      `${daemon}rpc error: code = FailedPrecondition desc = can't remove member from the raft: this would result in a loss of quorum\n`,
    )
    assert.match(
      await docker.fails(`node rm --force ${name}`),
      /^Error response from daemon: rpc error: code = FailedPrecondition desc = node [0-9a-z]{25} is a cluster manager and is a member of the raft cluster\. It must be demoted to worker before removal\n$/,
    )
    await docker.ok('config create meanwhile -', 'x')
    await skepd.restart('SIGKILL')
    await eventually(`${name} to have what was written meanwhile`, async () =>
      (await cluster.node(number).docker.ok('config ls --format {{.Name}}')).includes('meanwhile'),
    )
    await back(cluster.node(number), from)
  })

  await t.test('workers and managers leave, are removed and join anew', async () => {
    const ids = async () => (await three.docker.ok('node ls -q')).trim().split('\n')
    const before = await ids()
    assert.match(
      await three.docker.fails('node rm node-5'),
      /^Error response from daemon: rpc error: code = FailedPrecondition desc = node [0-9a-z]{25} is not down and can't be removed\n$/,
    )
    assert.equal(await five.docker.ok('swarm leave'), 'Node left the swarm.\n')
    assert.equal(await five.docker.fails('swarm leave'), `${daemon}This node is not part of a swarm\n`)
    // Until all managers are in touch again after the last step, the refusal speaks of the quorum.
    await eventually(
      'the refusal',
      async () =>
        (await two.docker.fails('swarm leave')) ===
        `${daemon}You are attempting to leave the swarm on a node that is participating as a manager. The only way to restore a swarm that has lost consensus is to reinitialize it with \`--force-new-cluster\`. Use \`--force\` to suppress this message.\n`,
    )
    assert.equal(await two.docker.ok('swarm leave --force'), 'Node left the swarm.\n')
    for (const { name } of [two, five]) {
      await eventually(`${name} to be a worker that is down`, async () =>
        (await cluster.list(3)).includes(`${name} down active`),
      )
      assert.equal(await three.docker.ok(`node rm ${name}`), `${name}\n`)
    }
    await cluster.join(2, 'manager', 3)
    await cluster.join(5, 'worker', 3)
    await back(two, 2)
    await eventually('node-5 to be back', async () => (await cluster.list(2)).includes('node-5 ready active'))
    const after = await ids()
    assert.equal(after.length, 5)
    assert.equal(after.filter((id) => before.includes(id)).length, 3)
  })
}
