import assert from 'node:assert/strict'
import type { UpdateConfig } from '../../../src/model/spec/index.js'
import { Harness, ms, replicated, withImage } from './harness.js'

const actions = ['pause', 'continue', 'rollback']

/**
 * Random updates on nodes that stay up, to images that start slowly, crash or never start, with the leader
 * changing and a node being drained: at no moment do fewer tasks run than the settings allow.
 */
export async function runUpdates(seed: number): Promise<void> {
  const h = new Harness({ seed, commitMs: 1 + (seed % 4) })
  const { env } = h
  const choose = <T>(items: readonly T[], otherwise: T): T => items[env.randomInt(items.length)] ?? otherwise
  await h.cluster()
  const nodes = await h.addNodes(3)
  h.behaviours.set('good:1', { startMs: 50, stopMs: 300 })
  h.behaviours.set('good:2', { startMs: 1500, stopMs: 50 })
  h.behaviours.set('refuses:1', { refuses: 'failed' })
  h.behaviours.set('missing:1', { refuses: 'rejected' })
  h.behaviours.set('crashes:1', { endsAfterMs: 400 })
  const replicas = 2 + env.randomInt(6)
  const config = (Order: string): UpdateConfig => ({
    Parallelism: 1 + env.randomInt(3),
    Delay: env.randomInt(3) * 200 * ms,
    Monitor: (500 + env.randomInt(2000)) * ms,
    FailureAction: choose(actions, 'pause'),
    MaxFailureRatio: choose([0, 0, 0.4], 0),
    Order,
  })
  // What is good enough to be rolled back to has to be started first, so that it can be told apart.
  const UpdateConfig = config('start-first')
  const RollbackConfig = config('start-first')
  const TaskTemplate = { ContainerSpec: { Image: 'good:1' }, RestartPolicy: { Delay: 100 * ms } }
  const id = await h.createService(
    replicated('web', replicas, { UpdateConfig, RollbackConfig, TaskTemplate }),
  )
  await h.until('running', () => h.running(id).length === replicas)

  // Start-first: a task is only ever stopped when its successor runs, whatever that does later.
  const crashes = () => h.tasks(id).some((task) => task.spec.ContainerSpec?.Image === 'crashes:1')
  const look = () => {
    if (!crashes()) assert.ok(h.running(id).length >= replicas, `seed ${seed}\n${h.describe()}`)
  }
  for (const image of ['good:2', 'refuses:1', 'good:1', 'missing:1', 'good:2', 'crashes:1']) {
    await h.updateService(id, withImage(image))
    for (let step = 0; step < 30; step++) {
      await h.run(env.randomInt(100))
      look()
      if (env.randomInt(40) === 0) await h.changeLeader(env.randomInt(3))
    }
  }

  // Stop-first: no more slots than `Parallelism` are without a running task.
  await h.updateService(id, (spec) => ({ ...withImage('good:1')(spec), UpdateConfig: config('stop-first') }))
  const settled = () =>
    h.service(id).updateStatus?.state === 'completed' &&
    h.running(id).length === replicas &&
    h.live(id).length === replicas
  await h.until(`seed ${seed} to settle`, settled, 1_200_000)
  await h.updateService(id, withImage('good:2'))
  const parallelism = h.service(id).spec.UpdateConfig?.Parallelism ?? 0
  await h.watch(`seed ${seed} to be updated`, settled, () => {
    assert.ok(h.running(id).length >= replicas - parallelism, `seed ${seed}\n${h.describe()}`)
  })
  // A drain in the middle of another update: the two share the slots that may be under way.
  await h.until(`seed ${seed} to be quiet`, settled)
  const { FailureAction: _, ...calm } = config(choose(['stop-first', 'start-first'], 'stop-first'))
  const before = h.service(id).spec
  await h.updateService(id, (spec) => ({ ...withImage('good:1')(spec), UpdateConfig: calm }))
  await h.run(env.randomInt(1500))
  const drained = choose(nodes, '')
  await h.setAvailability(drained, 'drain')
  const least = calm.Order === 'start-first' ? replicas : replicas - (calm.Parallelism ?? 0)
  const isEmpty = () => h.running(id).every((task) => task.nodeId !== drained)
  await h.watch(
    `seed ${seed} to be drained`,
    () => settled() && isEmpty(),
    async () => {
      assert.ok(h.running(id).length >= least, `seed ${seed}\n${h.describe()}`)
      // Rarely: with each new leader, starts begin anew in this simulation.
      if (env.randomInt(200) === 0) await h.changeLeader(env.randomInt(3))
    },
  )
  await h.updateService(id, () => before)
  await h.setAvailability(drained, 'active')
  await h.until(`seed ${seed} to settle again`, settled)
  const images = h.running(id).map((task) => task.spec.ContainerSpec?.Image)
  assert.deepEqual(images, Array<string>(replicas).fill('good:2'))
  assert.deepEqual(h.violations, [], `seed ${seed}`)
  await h.stop()
}
