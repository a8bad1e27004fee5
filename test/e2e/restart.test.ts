import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DockerCli } from '../lib/docker-cli.js'
import { Dockerd } from '../lib/dockerd.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'

interface RunningTask {
  readonly ID: string
  readonly DesiredState: string
  readonly Status: { readonly State: string; readonly ContainerStatus?: { readonly ContainerID: string } }
}

/** `task container` of every task that runs, in order. */
async function running(skepd: Skepd): Promise<string[]> {
  const reply = await skepd.request('GET', '/tasks')
  if (reply.status !== 200) return []
  return (reply.json() as RunningTask[])
    .filter(({ Status, DesiredState }) => Status.State === 'running' && DesiredState === 'running')
    .map(({ ID, Status }) => `${ID} ${Status.ContainerStatus?.ContainerID ?? ''}`)
    .sort()
}

async function start(skepd: Skepd, docker: DockerCli): Promise<readonly string[]> {
  await docker.ok('swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:0')
  await docker.ok('service create -d --name web --replicas 3 busybox:latest sleep 100000')
  return eventually('three running tasks', async () => {
    const tasks = await running(skepd)
    return tasks.length === 3 && tasks
  })
}

describe('a restart of the daemon', () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(
      `after ${signal} the containers run on and are taken over`,
      { skip: needs('cli', 'engine') },
      async (t) => {
        const dockerd = await Dockerd.start()
        t.after(() => dockerd.stop())
        await dockerd.importBusybox()
        const skepd = await Skepd.start({ engine: dockerd.host })
        const docker = new DockerCli(skepd.host)
        t.after(async () => {
          docker.dispose()
          await skepd.stop()
        })
        const before = await start(skepd, docker)
        const containers = async () => {
          const reply = await dockerd.request('GET', '/containers/json')
          return (reply.json() as { Id: string }[]).map(({ Id }) => Id).sort()
        }
        const containersBefore = await containers()
        assert.equal(containersBefore.length, 3)

        await skepd.restart(signal)
        assert.deepEqual(await containers(), containersBefore)
        await eventually('the node to be back', async () =>
          / Ready +Active +Leader/.test(await docker.ok('node ls')),
        )
        assert.deepEqual(await running(skepd), before)

        // What the daemon took over it also watches: a container that ends is replaced.
        await dockerd.request('POST', `/containers/${containersBefore[0]}/kill`)
        await eventually('a replacement', async () => {
          const now = await running(skepd)
          return now.length === 3 && now.filter((task) => !before.includes(task)).length === 1
        })
      },
    )
  }

  test('the orderly stop ends with 0, a second daemon on the data root is refused', async (t) => {
    const skepd = await Skepd.start()
    t.after(() => skepd.stop())
    await assert.rejects(
      Skepd.start({ dataRoot: skepd.dataRoot }),
      (error) =>
        error instanceof Error &&
        /another skepd \(pid \d+\) already uses the data root/.test(error.message + String(error.cause)),
    )
    assert.equal(await skepd.stop(), 0)
  })
})
