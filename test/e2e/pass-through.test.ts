import assert from 'node:assert/strict'
import { describe, test, before, after } from 'node:test'
import { DockerCli } from '../lib/docker-cli.js'
import { Dockerd } from '../lib/dockerd.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'

const skip = needs('cli', 'engine')

describe('what is not of the swarm goes to the engine', { skip }, () => {
  let dockerd: Dockerd
  let skepd: Skepd
  let docker: DockerCli

  before(async () => {
    dockerd = await Dockerd.start()
    await dockerd.importBusybox()
    skepd = await Skepd.start({ engine: dockerd.host })
    docker = new DockerCli(skepd.host)
  })
  after(async () => {
    docker.dispose()
    await skepd.stop()
    await dockerd.stop()
  })

  test('run, with output, exit code and input', async () => {
    assert.equal(await docker.ok('run --rm busybox echo hello'), 'hello\n')
    assert.equal((await docker.run(['run', '--rm', 'busybox', 'sh', '-c', 'exit 7'])).code, 7)
    assert.equal(await docker.ok('run --rm -i busybox cat', 'from stdin'), 'from stdin')
  })

  test('exec, logs, cp, inspect, stop and rm of a container', async () => {
    await docker.run([
      'run',
      '-d',
      '--name',
      'box',
      '--stop-signal',
      'SIGKILL',
      'busybox',
      'sh',
      '-c',
      'echo started; exec sleep 1000',
    ])
    assert.equal(await docker.ok('exec -i box cat', 'through exec'), 'through exec')
    assert.equal(await docker.ok('logs box'), 'started\n')
    assert.equal((await docker.run(['exec', 'box', 'sh', '-c', 'exit 3'])).code, 3)
    assert.ok((await docker.ok('cp box:/etc/passwd -')).includes('root:x:0:0'))
    assert.equal(await docker.ok('inspect --format {{.State.Status}} box'), 'running\n')
    assert.equal(await docker.ok('stop box'), 'box\n')
    assert.equal(await docker.ok('rm box'), 'box\n')
  })

  test('images, volumes, local networks, events and system df', async () => {
    assert.match(await docker.ok('images'), /busybox +latest/)
    assert.equal(await docker.ok('volume create data'), 'data\n')
    assert.match(await docker.ok('volume ls'), /local +data/)
    assert.match(await docker.ok('network create inside'), /^[0-9a-f]{64}\n$/)
    assert.match(await docker.ok('network ls'), /inside +bridge +local/)
    assert.equal(await docker.ok('network rm inside'), 'inside\n')
    assert.match(await docker.ok('system df'), /Images +1/)
    const since = Math.floor(Date.now() / 1000)
    await docker.ok('run --rm busybox true')
    const events = await eventually('the events', async () => {
      const printed = await docker.ok(
        `events --since ${since} --until ${Math.floor(Date.now() / 1000) + 1} --filter type=container`,
      )
      return printed.includes('container destroy') && printed
    })
    assert.match(events, /container create/)
  })

  test('an engine that only speaks older versions serves a newer client', async () => {
    const version = (await skepd.request('GET', '/version')).json() as { ApiVersion: string }
    assert.equal(version.ApiVersion, '1.56')
    const containers = await skepd.request('GET', '/v1.56/containers/json?all=1')
    assert.equal(containers.status, 200)
    assert.deepEqual(containers.json(), [])
  })
})
