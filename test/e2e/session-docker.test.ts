import { test } from 'node:test'
import { DockerCli } from '../lib/docker-cli.js'
import { Dockerd } from '../lib/dockerd.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'
import { session } from './session.js'

test('a session with the stock CLI on a Docker engine', { skip: needs('cli', 'engine') }, async (t) => {
  const dockerd = await Dockerd.start()
  t.after(() => dockerd.stop())
  await dockerd.importBusybox('busybox:latest', 'busybox:other')
  const skepd = await Skepd.start({ engine: dockerd.host })
  const docker = new DockerCli(skepd.host)
  t.after(async () => {
    docker.dispose()
    await skepd.stop()
  })
  await session(t, docker, true)
})
