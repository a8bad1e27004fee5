import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RestartPolicy } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { planSlot } from '../../../src/orchestrator/restart/plan-slot.js'
import { nextRestart, shouldRestart } from '../../../src/orchestrator/restart/policy.js'
import { Harness, ms, replicated, second, withImage } from '../../sim/orchestrator/harness.js'
import { aNode, aService, aTask, inOrder } from './builders.js'

const { Complete, Failed, Rejected, Shutdown, Orphaned, Running, Ready } = TaskState

function withPolicy(policy: RestartPolicy) {
  return aService({ TaskTemplate: { RestartPolicy: policy } })
}

/** A cluster with one running task of a service with this policy. */
async function running(RestartPolicy: RestartPolicy, replicas = 1) {
  const h = new Harness()
  const nodes = await h.addNodes(2)
  const TaskTemplate = { ContainerSpec: { Image: 'app:1' }, RestartPolicy }
  const id = await h.createService(replicated('web', replicas, { TaskTemplate }))
  await h.until('running', () => h.running(id).length === replicas)
  return { h, id, nodes, fail: () => h.report(h.running(id)[0]?.id ?? '', Failed) }
}

test('7.1 condition decides by how the task ended', () => {
  const restarts = (Condition: string) =>
    [Complete, Failed, Rejected, Shutdown, Orphaned].filter((state) =>
      shouldRestart(aTask(withPolicy({ Condition }), { state })),
    )
  assert.deepEqual(restarts('none'), [])
  assert.deepEqual(restarts('on-failure'), [Failed, Rejected, Shutdown, Orphaned])
  assert.deepEqual(restarts('any'), [Complete, Failed, Rejected, Shutdown, Orphaned])
  assert.deepEqual(restarts(''), restarts('any'))
})

test('7.1 a finished job is not run again', () => {
  const task = aTask(withPolicy({ Condition: 'any' }), { state: Complete, jobIteration: 0 })
  assert.equal(shouldRestart(task), false)
})

test('7.3 attempts within a window: those before it are forgotten, those after the end not counted', () => {
  const service = withPolicy({ MaxAttempts: 2, Window: 10 * second })
  const after = (...timesMs: number[]) =>
    shouldRestart(
      aTask(service, {
        state: Failed,
        atMs: 100_000,
        restart: { attempts: 9, quickFailures: 0, timesMs },
      }),
    )
  assert.equal(after(95_000, 96_000), false)
  assert.equal(after(90_000, 96_000), true)
  assert.equal(after(95_000, 100_000), true)
})

test('7.2 counts for one spec version only', () => {
  const service = withPolicy({ MaxAttempts: 2 })
  const restart = { attempts: 2, quickFailures: 2 }
  const old = aTask(service, { state: Failed, restart, specVersion: 3 })
  assert.equal(nextRestart({ ...service, specVersion: 4 }, old, 0, 0, false).restart.attempts, 1)
  assert.equal(nextRestart({ ...service, specVersion: 3 }, old, 0, 0, false).restart.attempts, 3)
})

test('7.9 the delay doubles from the fourth quick failure in a row, up to 5 minutes', () => {
  const service = withPolicy({ Delay: 5 * second })
  const delay = (quickFailures: number, ranMs: number) => {
    const task = aTask(service, { state: Failed, restart: { attempts: 9, quickFailures } })
    return nextRestart(service, task, ranMs, 0, false)
  }
  for (const quick of [0, 1, 2]) assert.equal(delay(quick, 100).delayMs, 5000)
  for (const [quick, mostMs] of [
    [3, 10_000],
    [4, 20_000],
    [8, 300_000],
    [20, 300_000],
  ] as const) {
    const { delayMs } = delay(quick, 100)
    assert.ok(delayMs <= mostMs && delayMs >= mostMs * 0.9, `${delayMs} after ${quick}`)
  }
  // What ends well and is run again and again, such as a periodic job, keeps its rhythm.
  const done = aTask(service, { state: Complete, restart: { attempts: 9, quickFailures: 8 } })
  assert.equal(nextRestart(service, done, 100, 0, false).delayMs, 5000)
  const stable = delay(8, 61_000)
  assert.deepEqual([stable.delayMs, stable.restart.quickFailures], [5000, 0])
})

test('7.5 the successor is placed and prepared during the delay, and starts after it', async () => {
  const { h, id, fail } = await running({ Delay: 3 * second })
  await fail()
  await h.run(2900)
  const next = h.live(id)[0]
  assert.deepEqual([next?.status.state, next?.desiredState], [Ready, Ready])
  assert.equal(next?.slot, 1)
  await h.run(200)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('7.5 the delay is 5 s where the policy has none', async () => {
  const { h, id, fail } = await running({})
  await fail()
  await h.run(4900)
  assert.equal(h.running(id).length, 0)
  await h.run(300)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('7.2 max attempts n give n+1 tasks', async () => {
  const { h, id } = await running({ Delay: 100 * ms, MaxAttempts: 2 })
  h.behaviours.set('app:1', { endsAfterMs: 50 })
  await h.report(h.running(id)[0]?.id ?? '', Failed)
  await h.run(60_000)
  assert.deepEqual(
    h.tasks(id).map(({ status }) => status.state),
    [Failed, Failed, Failed],
  )
  assert.equal(h.live(id).length, 0)
  await h.stop()
})

test('7.4 they are counted across a change of the leader', async () => {
  const { h, id, fail } = await running({ Delay: 100 * ms, MaxAttempts: 2 })
  for (let attempt = 0; attempt < 3; attempt++) {
    await fail()
    await h.changeLeader()
    await h.run(2000)
  }
  assert.equal(h.tasks(id).length, 3)
  assert.equal(h.live(id).length, 0)
  await h.stop()
})

test('7.2 a new spec starts counting again', async () => {
  const { h, id, fail } = await running({ Delay: 100 * ms, MaxAttempts: 1 })
  await fail()
  await h.run(2000)
  await fail()
  await h.run(2000)
  assert.equal(h.live(id).length, 0)
  await h.updateService(id, withImage('app:2'))
  await h.until('running', () => h.running(id).length === 1)
  await h.run(10_000)
  await fail()
  await h.run(2000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('7.1 nobody follows on a task that completed where the condition is on-failure', async () => {
  const { h, id } = await running({ Condition: 'on-failure', Delay: 0 })
  await h.report(h.running(id)[0]?.id ?? '', Complete)
  await h.run(30_000)
  assert.equal(h.live(id).length, 0)
  await h.stop()
})

test('7.8 a task that fails before its delayed start is followed only after that', async () => {
  const { h, id, fail } = await running({ Delay: 10 * second })
  h.behaviours.set('app:1', { refuses: 'rejected' })
  await fail()
  await h.run(8000)
  assert.deepEqual(
    h
      .tasks(id)
      .map(({ status }) => status.state)
      .sort(inOrder),
    [Failed, Rejected],
  )
  await h.run(4000)
  assert.equal(h.tasks(id).length, 3)
  await h.stop()
})

test('7.7 a drained task is replaced without delay once it has stopped', async () => {
  const { h, id, nodes } = await running({ Delay: 50 * second })
  h.behaviours.set('app:1', { stopMs: 5000 })
  const node = h.running(id)[0]?.nodeId ?? ''
  await h.setAvailability(node, 'drain')
  await h.run(4000)
  assert.equal(h.live(id)[0]?.desiredState, Ready)
  await h.run(2000)
  assert.equal(h.running(id).length, 1)
  assert.notEqual(h.running(id)[0]?.nodeId, node)
  assert.equal(nodes.length, 2)
  await h.stop()
})

test('7.7 a task on a node that is down is replaced at once', async () => {
  const { h, id } = await running({ Delay: 50 * second })
  const node = h.running(id)[0]?.nodeId ?? ''
  h.silent.add(node)
  await h.setNodeState(node, 'down')
  await h.run(1000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('7.7 a lost or drained task is replaced whatever the policy, and is no attempt', async () => {
  for (const policy of [{ Condition: 'none' }, { MaxAttempts: 1 }]) {
    const { h, id, nodes } = await running(policy)
    for (const node of nodes) {
      await h.setAvailability(node, 'active')
      const other = nodes.find((id) => id !== node) ?? ''
      await h.setAvailability(other, 'drain')
      await h.run(3000)
      assert.equal(h.running(id).length, 1, JSON.stringify(policy))
    }
    await h.stop()
  }
})

test('7.6 who will not stop is waited for one minute', async () => {
  const { h, id } = await running({ Delay: 0 })
  h.behaviours.set('app:1', { stopMs: 500_000 })
  await h.setAvailability(h.running(id)[0]?.nodeId ?? '', 'drain')
  await h.run(59_000)
  assert.equal(h.live(id)[0]?.status.state, Ready)
  await h.run(2000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('7.6 or for its grace period where that is longer', async () => {
  const h = new Harness()
  await h.addNodes(2)
  const ContainerSpec = { Image: 'app:1', StopGracePeriod: 300 * second }
  const id = await h.createService(replicated('db', 1, { TaskTemplate: { ContainerSpec } }))
  await h.until('running', () => h.running(id).length === 1)
  h.behaviours.set('app:1', { stopMs: 250_000 })
  await h.setAvailability(h.running(id)[0]?.nodeId ?? '', 'drain')
  await h.run(249_000)
  assert.equal(h.live(id)[0]?.status.state, Ready)
  await h.run(3000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})

test('7.6 a node that goes down or away is not waited for', async () => {
  const { h, id } = await running({ Delay: 0 })
  h.behaviours.set('app:1', { stopMs: 500_000 })
  const node = h.running(id)[0]?.nodeId ?? ''
  await h.setAvailability(node, 'drain')
  await h.run(1000)
  assert.equal(h.live(id)[0]?.desiredState, Ready)
  h.silent.add(node)
  await h.setNodeState(node, 'down')
  await h.run(1000)
  assert.equal(h.running(id).length, 1)
  assert.equal(h.running(id)[0]?.desiredState, Running)
  await h.stop()
})

test('7.10 an old task that ends while its successor starts gets no other one', () => {
  const service = aService({ TaskTemplate: { ContainerSpec: { Image: 'app:2' } } }, { specVersion: 2 })
  const old = aTask(service, { specVersion: 1, spec: { ContainerSpec: { Image: 'app:1' } }, state: Failed })
  const view = {
    service,
    nodeOf: () => aNode(),
    tasksOn: () => [],
    nowMs: 0,
    ranMs: () => 0,
    failedUpdate: new Set<string>(),
  }
  const starting = aTask(service, { state: TaskState.Starting })
  const both = planSlot({ ...view, tasks: [old, starting] })
  assert.deepEqual([both.shutdownTaskIds, both.replacement, both.empty], [[old.id], undefined, false])
  assert.ok(planSlot({ ...view, tasks: [old] }).replacement)
})

test('7.10 a slot whose new task failed gets one from a rollback in spite of the restart policy', async () => {
  const { h, id } = await running({ Condition: 'none' }, 2)
  h.behaviours.set('app:2', { refuses: 'failed' })
  await h.updateService(id, withImage('app:2'))
  await h.until('paused', () => h.service(id).updateStatus?.state === 'paused')
  assert.equal(h.running(id).length, 1)
  await h.rollbackService(id)
  await h.until('running', () => h.running(id).length === 2)
  // One that fails with the old spec is not tried again and again.
  await h.report(h.running(id)[0]?.id ?? '', Failed)
  await h.run(20_000)
  assert.equal(h.running(id).length, 1)
  await h.stop()
})
