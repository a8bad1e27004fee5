import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

test(
  'managers join, are demoted and promoted, lead, leave and come back',
  { skip: needs('cli') },
  async (t) => {
    const cluster = await TestCluster.start(4)
    t.after(() => cluster.stop())
    const [one, two, three, four] = [cluster.node(1), cluster.node(2), cluster.node(3), cluster.node(4)]
    await cluster.init()

    /** Waits until `from` shows exactly these lines. */
    const shows = (lines: readonly string[], from: number) =>
      eventually(
        `node-${from} to show ${lines.join(', ')}`,
        async () => (await cluster.list(from)).join('\n') === lines.join('\n'),
        30_000,
      )

    await t.test('joins with the manager token, at the leader and at a follower', async () => {
      assert.equal(await cluster.join(2, 'manager'), 'This node joined a swarm as a manager.\n')
      const warnings = await one.docker.run(['info', '--format', '{{json .Swarm.Warnings}}'])
      assert.match(warnings.stdout, /two-manager configuration/)
      assert.equal(await cluster.join(3, 'manager', 2), 'This node joined a swarm as a manager.\n')
      assert.equal(await cluster.join(4, 'worker', 3), 'This node joined a swarm as a worker.\n')
      const all = [
        'node-1 ready active leader',
        'node-2 ready active reachable',
        'node-3 ready active reachable',
        'node-4 ready active',
      ]
      for (const from of [1, 2, 3]) await shows(all, from)
    })

    await t.test('every manager takes writes and shows those of the others', async () => {
      for (const { docker, name } of [one, two, three]) {
        await docker.ok(`config create of-${name} -`, name)
        for (const other of [one, two, three]) {
          assert.match(await other.docker.ok('config ls --format {{.Name}}'), new RegExp(`^of-${name}$`, 'm'))
        }
      }
    })

    await t.test('removal of a manager is refused', async () => {
      assert.match(
        await three.docker.fails('node rm --force node-2'),
        /rpc error: code = FailedPrecondition desc = node [0-9a-z]{25} is a cluster manager and is a member of the raft cluster\. It must be demoted to worker before removal/,
      )
    })

    await t.test('demote and promote', async () => {
      assert.equal(await three.docker.ok('node demote node-2'), 'Manager node-2 demoted in the swarm.\n')
      const demoted = [
        'node-1 ready active leader',
        'node-2 ready active',
        'node-3 ready active reachable',
        'node-4 ready active',
      ]
      await shows(demoted, 3)
      await eventually('node-2 to be a worker', async () =>
        (await two.docker.fails('node ls')).includes("Worker nodes can't be used"),
      )
      assert.equal(
        await one.docker.ok('node promote node-2'),
        'Node node-2 promoted to a manager in the swarm.\n',
      )
      for (const from of [1, 2, 3]) {
        await shows(
          [
            'node-1 ready active leader',
            'node-2 ready active reachable',
            'node-3 ready active reachable',
            'node-4 ready active',
          ],
          from,
        )
      }
    })

    await t.test('a leader that is demoted hands over first', async () => {
      await one.docker.ok('node demote node-1')
      await eventually('node-1 to be a worker', async () =>
        (await one.docker.fails('node ls')).includes("Worker nodes can't be used"),
      )
      await eventually(
        'another leader',
        async () => {
          const lines = await cluster.list(2)
          return lines.includes('node-1 ready active') && lines.some((line) => line.endsWith(' leader'))
        },
        30_000,
      )
      await two.docker.ok('node promote node-1')
      await eventually(
        'node-1 to have a vote again',
        async () => (await cluster.list(2)).includes('node-1 ready active reachable'),
        30_000,
      )
    })

    await t.test('a manager that is killed is unreachable, and is back by itself', async () => {
      await two.skepd.kill()
      await eventually(
        'node-2 to be unreachable',
        async () => (await cluster.list(3)).includes('node-2 down active unreachable'),
        30_000,
      )
      await three.docker.ok('config create meanwhile -', 'x')
      await two.skepd.restart()
      await eventually(
        'node-2 to have what was written meanwhile',
        async () => (await two.docker.ok('config ls --format {{.Name}}')).includes('meanwhile'),
        30_000,
      )
      await eventually(
        'node-2 to be reachable',
        async () =>
          (await cluster.list(3)).some((line) => /^node-2 ready active (reachable|leader)$/.test(line)),
        30_000,
      )
    })

    await t.test('a manager leaves in order, and joins anew', async () => {
      // Until all managers are in touch again after the last step, the refusal speaks of the quorum.
      await eventually('the refusal', async () =>
        /participating as a manager\. The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`\. Use `--force` to suppress this message\./.test(
          await two.docker.fails('swarm leave'),
        ),
      )
      assert.equal(await two.docker.ok('swarm leave --force'), 'Node left the swarm.\n')
      await eventually('node-2 to be a worker that is down', async () =>
        (await cluster.list(3)).includes('node-2 down active'),
      )
      await three.docker.ok('node rm node-2')
      await cluster.join(2, 'manager', 3)
      await eventually(
        'node-2 to be back',
        async () =>
          (await cluster.list(2)).some((line) => /^node-2 ready active (reachable|leader)$/.test(line)),
        30_000,
      )
      assert.match(await four.docker.fails('node ls'), /Worker nodes can't be used/)
    })
  },
)
