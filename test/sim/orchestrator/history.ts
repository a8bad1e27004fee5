import assert from 'node:assert/strict'
import type { Service } from '../../../src/model/objects.js'
import type { ServiceSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { allocatorLoop } from '../../../src/allocator/index.js'
import { isJob, isTaskDirty, orchestratorLoops } from '../../../src/orchestrator/index.js'
import { schedulerLoop } from '../../../src/scheduler/index.js'
import { Harness, ms, replicated, withImage } from './harness.js'

const jobImages = ['job:1', 'job:2', 'job:3']
const images = ['app:1', 'app:2', 'slow:1', 'crash:1', 'refuse:1', 'missing:1', 'done:1']

class History {
  readonly h: Harness
  readonly services: string[] = []
  nodes: string[] = []
  #names = 0

  constructor(seed: number, realLoops: boolean) {
    const loops = realLoops ? [...orchestratorLoops, allocatorLoop, schedulerLoop] : orchestratorLoops
    this.h = new Harness({ seed, commitMs: 1 + (seed % 5), loops, placement: !realLoops })
    const { behaviours } = this.h
    behaviours.set('app:1', {})
    behaviours.set('slow:1', { startMs: 3000, stopMs: 4000 })
    behaviours.set('crash:1', { endsAfterMs: 700 })
    behaviours.set('refuse:1', { refuses: 'failed' })
    behaviours.set('missing:1', { refuses: 'rejected' })
    behaviours.set('done:1', { endsAfterMs: 900, endState: TaskState.Complete })
    behaviours.set('job:1', { endsAfterMs: 700, endState: TaskState.Complete })
    behaviours.set('job:2', { endsAfterMs: 700 })
    behaviours.set('job:3', { startMs: 6000, endsAfterMs: 3000, endState: TaskState.Complete })
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.h.env.randomInt(Math.max(1, items.length))]
  }

  chance(percent: number): boolean {
    return this.h.env.randomInt(100) < percent
  }

  spec(): Partial<ServiceSpec> {
    const config = {
      Parallelism: this.h.env.randomInt(3),
      Delay: this.h.env.randomInt(2) * 300 * ms,
      Monitor: (1 + this.h.env.randomInt(2000)) * ms,
      FailureAction: this.pick(['pause', 'continue', 'rollback']) ?? 'pause',
      MaxFailureRatio: this.pick([0, 0.3]) ?? 0,
      Order: this.pick(['stop-first', 'start-first']) ?? 'stop-first',
    }
    return {
      ...(this.chance(80) ? { UpdateConfig: config } : {}),
      ...(this.chance(50) ? { RollbackConfig: { ...config, Order: 'start-first' } } : {}),
      TaskTemplate: {
        ContainerSpec: { Image: this.pick(images) ?? 'app:1' },
        RestartPolicy: { Condition: 'any', Delay: this.h.env.randomInt(1500) * ms },
      },
    }
  }

  /** With a port of the node at times: two of them have no room beside each other. */
  global(spec: ServiceSpec): ServiceSpec {
    const PublishedPort = 8000 + this.#names
    const port = { TargetPort: 80, PublishedPort, PublishMode: 'host' }
    return { ...spec, Mode: { Global: {} }, ...(this.chance(50) ? { EndpointSpec: { Ports: [port] } } : {}) }
  }

  job(): ServiceSpec {
    const ReplicatedJob = {
      MaxConcurrent: 1 + this.h.env.randomInt(3),
      TotalCompletions: 1 + this.h.env.randomInt(6),
    }
    const { UpdateConfig: _, ...spec } = replicated(`j${this.#names++}`, 0, this.spec())
    return withImage(this.pick(jobImages) ?? '', {
      Mode: this.chance(50) ? { ReplicatedJob } : { GlobalJob: {} },
    })(spec)
  }

  async step(): Promise<void> {
    const { h } = this
    const service = this.pick(this.services)
    const node = this.pick(this.nodes)
    const action = h.env.randomInt(100)
    if (action < 12 || service === undefined || node === undefined) {
      const spec = replicated(`s${this.#names++}`, h.env.randomInt(6), this.spec())
      if (this.chance(20)) this.services.push(await h.createService(this.job()))
      else this.services.push(await h.createService(this.chance(30) ? this.global(spec) : spec))
    } else if (action < 30) {
      const job = isJob(h.service(service).spec)
      await h.updateService(service, withImage(this.pick(job ? jobImages : images) ?? 'app:1'))
    } else if (action < 38) {
      await h.updateService(service, (spec) => ({
        ...spec,
        ...(spec.Mode?.Replicated === undefined
          ? {}
          : { Mode: { Replicated: { Replicas: h.env.randomInt(8) } } }),
      }))
    } else if (action < 43) {
      await h.updateService(service, (spec) => ({
        ...spec,
        TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: (spec.TaskTemplate?.ForceUpdate ?? 0) + 1 },
      }))
    } else if (action < 48) {
      if (h.service(service).previousSpec !== undefined) await h.rollbackService(service)
    } else if (action < 52 && this.services.length > 2) {
      this.services.splice(this.services.indexOf(service), 1)
      await h.removeService(service)
    } else if (action < 64) {
      await h.setAvailability(node, this.pick(['active', 'drain', 'pause']) ?? 'active')
    } else if (action < 72) {
      h.silent.add(node)
      if (this.chance(60)) await h.setNodeState(node, 'down')
    } else if (action < 80) {
      h.silent.delete(node)
      await h.setNodeState(node, this.pick(['ready', 'unknown']) ?? 'ready')
    } else if (action < 83) {
      if (this.nodes.length > 2) {
        this.nodes = this.nodes.filter((id) => id !== node)
        await h.removeNode(node)
      }
    } else if (action < 86) {
      this.nodes.push(...(await h.addNodes(1)))
    } else if (action < 92) {
      await h.changeLeader(h.env.randomInt(3))
    } else {
      // Somebody kills a container.
      const running = this.pick(h.running(service))
      if (running !== undefined) await h.report(running.id, TaskState.Failed)
    }
  }

  /** All faults end. */
  async heal(): Promise<void> {
    const { h } = this
    for (const image of images) h.behaviours.set(image, { startMs: 50, stopMs: 50 })
    for (const image of jobImages) h.behaviours.set(image, { endsAfterMs: 50, endState: TaskState.Complete })
    h.silent.clear()
    for (const node of this.nodes) {
      await h.setNodeState(node, 'ready')
      await h.setAvailability(node, 'active')
    }
    // What was about to fail fails; then a paused update goes on with the next one.
    await h.run(10_000)
    for (const id of this.services) {
      if (h.service(id).updateStatus?.state.endsWith('paused') === true)
        await h.updateService(id, (spec) => ({ ...spec }))
    }
  }

  wrongWithJob({ id, spec, jobStatus }: Service): string[] {
    const wanted = spec.Mode?.ReplicatedJob?.TotalCompletions
    const tasks = this.h.tasks(id).filter((task) => task.jobIteration === jobStatus?.iteration)
    const complete = tasks.filter((task) => task.status.state === TaskState.Complete)
    const nodes = new Set(complete.map(({ nodeId }) => nodeId))
    // A node that was removed or came back may have done it, too.
    const enough =
      wanted === undefined ? this.nodes.every((node) => nodes.has(node)) : complete.length === wanted
    const active = tasks.filter((task) => task.desiredState <= TaskState.Complete && task.status.state <= 512)
    const wrong = enough ? [] : [`${spec.Name}: ${complete.length} completed, wanted ${wanted}`]
    return active.length === 0 ? wrong : [...wrong, `${spec.Name}: ${active.length} still run`]
  }

  /** What is not as the specs say. */
  wrong(): string[] {
    const { h } = this
    const wrong: string[] = []
    for (const id of this.services) {
      const service = h.service(id)
      if (isJob(service.spec)) {
        wrong.push(...this.wrongWithJob(service))
        continue
      }
      const wanted = service.spec.Mode?.Replicated?.Replicas ?? this.nodes.length
      const live = h.live(id)
      const name = service.spec.Name
      if (h.running(id).length !== wanted || live.length !== wanted) {
        wrong.push(`${name}: ${h.running(id).length} of ${live.length} tasks run, wanted ${wanted}`)
      }
      if (live.some((task) => task.desiredState !== TaskState.Running)) wrong.push(`${name}: not promoted`)
      const places = new Set(live.map((task) => (task.slot === 0 ? task.nodeId : task.slot)))
      if (places.size !== live.length) wrong.push(`${name}: two tasks in one slot`)
      const nodeOf = (nodeId = '') => h.store.view.nodes.get(nodeId)
      const dirty = live.filter((task) => isTaskDirty(service, task, nodeOf(task.nodeId)))
      if (dirty.length > 0) wrong.push(`${name}: ${dirty.length} tasks out of date`)
      const state = service.updateStatus?.state
      if (state === 'updating' || state === 'rollback_started') wrong.push(`${name}: still ${state}`)
    }
    const tasks = h.store.view.tasks.list()
    const strays = tasks.filter((task) => h.store.view.services.get(task.serviceId ?? '') === undefined)
    if (strays.length > 0) wrong.push(`${strays.length} tasks of removed services`)
    const old = tasks.filter((task) => task.desiredState > TaskState.Running && task.status.state <= 512)
    if (old.some((task) => task.status.state >= TaskState.Assigned)) wrong.push('old tasks still run')
    return wrong
  }
}

/**
 * One random history: services come, change and go, nodes are drained, cut off, lost and added, images fail,
 * the leader changes. Once that stops, everything must be as the specs say, and stay so by itself.
 */
export async function runHistory(seed: number, realLoops: boolean): Promise<void> {
  const history = new History(seed, realLoops)
  const { h } = history
  await h.cluster()
  history.nodes = await h.addNodes(2 + h.env.randomInt(4))
  const steps = 10 + h.env.randomInt(30)
  for (let step = 0; step < steps; step++) {
    await history.step()
    await h.run(h.env.randomInt(2500))
  }
  await history.heal()
  await h
    .until(
      `seed ${seed} to converge`,
      () => history.wrong().length === 0 || h.violations.length > 0,
      1_200_000,
    )
    .catch((error: unknown) => {
      throw new Error(`${history.wrong().join('\n')}\n`, { cause: error })
    })
  assert.deepEqual(h.violations, [], `seed ${seed}`)
  await h.run(10_000)
  assert.deepEqual(history.wrong(), [], `seed ${seed}`)
  // A steady cluster writes nothing.
  const { entries } = h
  await h.run(600_000)
  assert.equal(h.entries, entries, `seed ${seed}: entries in a steady cluster`)
  await h.stop()
}
