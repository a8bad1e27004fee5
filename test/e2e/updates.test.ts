import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { DockerCli, type CliResult } from '../lib/docker-cli.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { skep } from '../lib/skep-cli.js'
import { Skepd } from '../lib/skepd.js'

/** Monitoring takes a second in all of these: long enough for a container that fails at once. */
const quick = ['--update-monitor', '1s', '--rollback-monitor', '1s', '--restart-condition', 'none']
const forever = ['busybox:latest', 'sleep', '100000']

interface Status {
  readonly State: string
  readonly Message: string
}

/** The stock CLI's waiting forms, on the simulated engine. */
describe('updates with the stock CLI', { skip: needs('cli'), concurrency: 4 }, () => {
  let skepd: Skepd
  let docker: DockerCli
  before(async () => {
    skepd = await Skepd.start()
    docker = new DockerCli(skepd.host)
    await docker.ok('swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:0')
  })
  after(async () => {
    docker.dispose()
    await skepd.stop()
  })

  const create = async (name: string, ...flags: readonly string[]) => {
    const { code, stderr } = await docker.run(['service', 'create', '--name', name, ...flags])
    assert.equal(code, 0, stderr)
  }
  const statusOf = async (name: string): Promise<Status> => {
    const [service] = (await docker.json(`service inspect ${name}`)) as { readonly UpdateStatus: Status }[]
    assert.ok(service)
    return service.UpdateStatus
  }
  const column = async (name: string, format: string, ...filters: readonly string[]) => {
    const flags = filters.flatMap((filter) => ['--filter', filter])
    const { stdout } = await docker.run(['service', 'ps', '--no-trunc', '--format', format, ...flags, name])
    return stdout.split('\n').filter((line) => line !== '')
  }
  const failing = (name: string, action: string): Promise<CliResult> =>
    docker.run(
      ['service', 'update', '--update-failure-action', action, '--args', 'false', name].filter(
        (arg) => arg !== '',
      ),
    )

  test('6.16 a failing update that pauses', async () => {
    await create('pauses', '--replicas', '3', ...quick, ...forever)
    const { code, stdout, stderr } = await failing('pauses', 'pause')
    assert.equal(code, 1)
    assert.match(stdout, /^pauses\noverall progress: 0 out of 3 tasks\n/)
    const reason =
      /^service update paused: update paused due to failure or early termination of task [0-9a-z]{25}\n$/
    assert.match(stderr, reason)
    assert.equal((await statusOf('pauses')).State, 'paused')
    const images = await column('pauses', '{{.CurrentState}}', 'desired-state=running')
    assert.equal(images.filter((state) => state.startsWith('Running')).length, 2)
    // Any update goes on.
    const again = await docker.run(['service', 'update', '--args', 'sleep 100000', 'pauses'])
    assert.equal(again.code, 0, again.stderr)
    assert.match(again.stdout, /verify: Service pauses converged\n$/)
    assert.deepEqual(await statusOf('pauses').then(({ State, Message }) => [State, Message]), [
      'completed',
      'update completed',
    ])
  })

  test('6.18 a failing update that rolls back', async () => {
    await create('returns', '--replicas', '2', ...quick, ...forever)
    const { code, stdout, stderr } = await failing('returns', 'rollback')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /\noverall progress: rolling back update: 2 out of 2 tasks\n/)
    assert.match(stdout, /verify: Service returns converged\nrollback: rollback completed\n$/)
    assert.deepEqual(await statusOf('returns').then(({ State, Message }) => [State, Message]), [
      'rollback_completed',
      'rollback completed',
    ])
    const [service] = (await docker.json('service inspect returns')) as {
      readonly Spec: {
        readonly TaskTemplate: { readonly ContainerSpec: { readonly Args: readonly string[] } }
      }
    }[]
    assert.deepEqual(service?.Spec.TaskTemplate.ContainerSpec.Args, ['sleep', '100000'])
  })

  test('6.17 a failing update that continues', async () => {
    await create('goes-on', '--replicas', '2', ...quick, ...forever)
    const { code, stderr } = await failing('goes-on', 'continue')
    assert.equal(code, 0, stderr)
    assert.equal((await statusOf('goes-on')).State, 'completed')
    const states = await column('goes-on', '{{.DesiredState}} {{.CurrentState}}')
    assert.equal(states.filter((state) => / Failed /.test(state)).length, 2, states.join('\n'))
  })

  test('start-first with a health check: one replica is there at any time', async () => {
    const health = ['--health-cmd', 'true', '--health-interval', '1s']
    const label = ['--container-label', 'skep.sim.health=healthy@700ms']
    await create('healthy', ...quick, '--update-order', 'start-first', ...health, ...label, ...forever)
    const isHealthy = async () => {
      const lines = await column('healthy', '{{.CurrentState}}', 'desired-state=running')
      return lines.some((line) => line.startsWith('Running'))
    }
    const update = docker.run(['service', 'update', '--force', 'healthy'])
    const progress = { done: false }
    const ends = update.finally(() => (progress.done = true))
    for (let looks = 0; !progress.done; looks++) assert.ok(await isHealthy(), `look ${looks}`)
    const { code, stdout } = await ends
    assert.equal(code, 0)
    assert.match(stdout, /verify: Service healthy converged\n$/)
    const ended = await column('healthy', '{{.CurrentState}}', 'desired-state=shutdown')
    assert.equal(ended.length, 1)
  })

  test('an unhealthy container fails the update', async () => {
    const health = ['--health-cmd', 'true', '--health-interval', '1s', '--health-retries', '1']
    await create('sick', '--replicas', '2', ...quick, ...health, ...forever)
    const { code, stderr } = await docker.run([
      'service',
      'update',
      '--container-label-add',
      'skep.sim.health=unhealthy@100ms',
      'sick',
    ])
    assert.equal(code, 1)
    assert.match(stderr, /^service update paused: /)
    const errors = await column('sick', '{{.Error}}', 'desired-state=shutdown')
    assert.ok(
      errors.some((error) => error.includes('unhealthy container')),
      errors.join('\n'),
    )
  })

  test('a rollback by hand, and one to any revision', async () => {
    await create('past', ...quick, '--env', 'N=1', ...forever)
    for (const n of [2, 3]) await docker.ok(`service update --env-add N=${n} past`)
    const back = await docker.ok('service rollback past')
    assert.match(back, /^past\nrollback: manually requested rollback\n/)
    assert.match(back, /verify: Service past converged\n$/)
    const env = async () => {
      const [service] = (await docker.json('service inspect past')) as {
        readonly Spec: {
          readonly TaskTemplate: { readonly ContainerSpec: { readonly Env: readonly string[] } }
        }
      }[]
      return service?.Spec.TaskTemplate.ContainerSpec.Env
    }
    assert.deepEqual(await env(), ['N=2'])
    const answer = await skep({ skepd }, ['history', 'past', '--rollback', '1'])
    assert.deepEqual(answer, { code: 0, stdout: 'service past goes back to revision 1\n', stderr: '' })
    assert.deepEqual(await env(), ['N=1'])
    await eventually('the rollback to be completed', async () => {
      return (await statusOf('past')).State === 'rollback_completed'
    })
    const listed = await skep({ skepd }, ['history', 'past', '--format', 'json'])
    const { revisions } = JSON.parse(listed.stdout) as {
      readonly revisions: readonly { readonly revision: number; readonly cause: string }[]
    }
    assert.deepEqual(
      revisions.map(({ revision, cause }) => `${revision} ${cause}`),
      ['5 rollback', '4 rollback', '3 update', '2 update', '1 create'],
    )
    const text = (await skep({ skepd }, ['history', 'past'])).stdout
    assert.match(
      text,
      /^5 \(now\) .* rollback +TaskTemplate\.ContainerSpec\.Env\[N\]: \(hidden\) -> \(hidden\)$/m,
    )
    const gone = await skep({ skepd }, ['history', 'past', '--rollback', '9'])
    assert.equal(gone.code, 1)
    assert.match(gone.stderr, /service past has no revision 9: it has 1, 2, 3, 4\n$/)
  })

  test('jobs end, and say so', async () => {
    const replicated = await docker.run([
      'service',
      'create',
      '--name',
      'job',
      '--mode',
      'replicated-job',
      '--replicas',
      '4',
      '--max-concurrent',
      '2',
      'busybox',
      'true',
    ])
    assert.equal(replicated.code, 0, replicated.stderr)
    assert.match(replicated.stdout, /job complete\n$/)
    assert.match(await docker.ok('service ls --filter name=job'), / replicated job +0\/2 \(4\/4 completed\) /)
    const global = await docker.run([
      'service',
      'create',
      '--name',
      'each',
      '--mode',
      'global-job',
      'busybox',
      'true',
    ])
    assert.equal(global.code, 0, global.stderr)
    assert.match(global.stdout, /job complete\n$/)
    assert.match(await docker.ok('service ls --filter name=each'), / global job +0\/0 \(1\/1 completed\) /)
  })
})
