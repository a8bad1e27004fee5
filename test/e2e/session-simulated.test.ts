import { test } from 'node:test'
import { DockerCli } from '../lib/docker-cli.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'
import { session } from './session.js'

test('a session with the stock CLI on the simulated engine', { skip: needs('cli') }, async (t) => {
  const skepd = await Skepd.start({ engine: 'simulated' })
  const docker = new DockerCli(skepd.host)
  t.after(async () => {
    docker.dispose()
    await skepd.stop()
  })
  await session(t, docker, false)
})
