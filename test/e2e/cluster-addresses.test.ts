import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { DockerCli } from '../lib/docker-cli.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'

test(
  'a name for an address, and a manager that comes back under another one',
  { skip: needs('cli') },
  async (t) => {
    const cluster = await TestCluster.start(3)
    t.after(() => cluster.stop())
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
    const addrOf = async (name: string, docker = one.docker) =>
      (await docker.ok(`node inspect ${name} --format {{.ManagerStatus.Addr}}`)).trim()

    await t.test('init and join by name', async () => {
      await one.docker.ok(
        `swarm init --advertise-addr localhost:${cluster.port} --listen-addr 127.0.0.1:${cluster.port}`,
      )
      assert.equal(await addrOf('node-1'), `localhost:${cluster.port}`)
      assert.equal(await one.docker.ok('info --format {{.Swarm.NodeAddr}}'), 'localhost\n')
      const token = await cluster.token('manager')
      for (const { docker, address, clusterAddr } of [two, three]) {
        const flags = `--advertise-addr ${address} --listen-addr ${clusterAddr}`
        await docker.ok(`swarm join --token ${token} ${flags} localhost:${cluster.port}`)
      }
      await eventually('three managers', async () =>
        (await cluster.list()).every((line) => /reachable|leader/.test(line)),
      )
    })

    await t.test('a name that does not exist is refused in the words of Docker', async () => {
      const fourth = await Skepd.start()
      const docker = new DockerCli(fourth.host)
      try {
        assert.match(
          await docker.fails('swarm init --advertise-addr no-such-name.invalid'),
          /advertise address must be a non-zero IP address or network interface \(with optional port number\)/,
        )
      } finally {
        docker.dispose()
        await fourth.stop()
      }
    })

    await three.skepd.kill()
    const moved = await Skepd.start({
      dataRoot: three.skepd.dataRoot,
      args: ['--hostname', 'node-3', '--swarm-default-advertise-addr', '127.0.0.7'],
    })
    const movedDocker = new DockerCli(moved.host)
    t.after(async () => {
      movedDocker.dispose()
      await moved.stop()
    })

    await t.test('the others learn its new address', async () => {
      await eventually(
        'node-3 under its new address',
        async () =>
          (await addrOf('node-3')) === `127.0.0.7:${cluster.port}` &&
          (await cluster.list()).includes('node-3 ready active reachable'),
        60_000,
      )
      assert.equal(await movedDocker.ok('info --format {{.Swarm.NodeAddr}}'), '127.0.0.7\n')
    })

    await t.test('and find it there when it matters', async () => {
      await one.skepd.kill()
      await eventually(
        'a leader of the two that are left',
        async () =>
          (await cluster.list(2)).some((line) => line.endsWith(' leader') && !line.startsWith('node-1')),
        60_000,
      )
      await two.docker.ok('config create at-two -', 'x')
      await movedDocker.ok('config create at-three -', 'x')
      assert.equal(await addrOf('node-3', two.docker), `127.0.0.7:${cluster.port}`)
    })
  },
)
