import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Task } from '../../../src/model/objects.js'
import type { TaskSpec } from '../../../src/model/spec/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import { ClusterFacts } from '../../../src/scheduler/cluster-facts.js'
import { failingFilter } from '../../../src/scheduler/filters.js'
import { NodeSet } from '../../../src/scheduler/node-set.js'
import type { NodeState } from '../../../src/scheduler/node-state.js'
import { Planner, type Decision } from '../../../src/scheduler/planner.js'
import { requirementsOf } from '../../../src/scheduler/requirements.js'
import { emptyTables } from '../../../src/store/schema.js'
import { aNode, aTask } from '../../lib/builders.js'
import { seededRandom } from '../../lib/simulated-env.js'

const facts = new ClusterFacts(emptyTables())
const status = (state: TaskState) => ({ state, timestampMs: 0, message: '' })

/** A cluster of plain maps, changed at random, of which the planner hears. */
class Cluster {
  readonly nodes = new Map<string, Node>()
  readonly tasks = new Map<string, Task>()
  readonly planner = new Planner(facts)
  readonly #random: () => number
  #next = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }

  change(): void {
    switch (this.below(8)) {
      case 0:
        this.#setNode(`n${this.#next++}`)
        break
      case 1: {
        const node = this.#pick([...this.nodes.keys()])
        if (node !== undefined) this.#setNode(node)
        break
      }
      case 2: {
        const node = this.#pick([...this.nodes.keys()])
        if (node === undefined || this.below(3) > 0) break
        this.nodes.delete(node)
        this.planner.removeNode(node)
        break
      }
      case 3:
      case 4:
        this.#createTasks()
        break
      default:
        this.#changeTask()
    }
  }

  set(task: Task): void {
    this.tasks.set(task.id, task)
    this.planner.setTask(task)
  }

  /** What the loop does with decisions: most are written, some are lost while `isCalm` is false. */
  write(decision: Decision, isCalm = false): void {
    const task = this.tasks.get(decision.taskId)
    if (task === undefined) return
    if (!isCalm && this.below(10) === 0) {
      this.planner.setTask(task)
      return
    }
    switch (decision.kind) {
      case 'assign':
        this.set({
          ...task,
          nodeId: decision.nodeId,
          status: status(TaskState.Assigned),
          ...(decision.generics.length > 0 ? { assignedGenericResources: decision.generics } : {}),
        })
        break
      case 'explain':
        this.set({ ...task, status: { ...task.status, err: decision.reason } })
        break
      case 'shut down':
        this.set({ ...task, status: status(TaskState.Shutdown) })
        break
      default:
        decision satisfies never
    }
  }

  #setNode(id: string): void {
    const node = aNode({
      id,
      spec: {
        Availability: this.below(4) === 0 ? 'drain' : 'active',
        Labels: { zone: ['a', 'b', 'c'][this.below(4)] ?? '' },
      },
      status: { state: this.below(8) === 0 ? 'down' : 'ready', message: '', addr: '' },
      description: {
        Platform: { OS: 'linux', Architecture: this.below(3) === 0 ? 'arm64' : 'x86_64' },
        Resources: {
          NanoCPUs: 1e9 * (1 + this.below(8)),
          MemoryBytes: 2 ** 30,
          GenericResources: [{ DiscreteResourceSpec: { Kind: 'gpu', Value: this.below(3) } }],
        },
      },
    })
    this.nodes.set(id, node)
    this.planner.setNode(node)
  }

  #createTasks(): void {
    const serviceId = `s${this.#next++}`
    const spec = this.#spec()
    const port = this.below(3)
    const ports = [{ PublishedPort: 8000 + port, PublishMode: 'host' }]
    const endpoint = this.below(4) === 0 ? { endpoint: { spec: {}, ports, virtualIPs: [] } } : {}
    const nodeId = this.below(6) === 0 ? this.#pick([...this.nodes.keys()]) : undefined
    for (let slot = 1 + this.below(8); slot > 0; slot--) {
      const base = aTask({ id: `t${this.#next++}`, serviceId, slot, spec, ...endpoint })
      this.set(nodeId === undefined ? base : { ...base, nodeId })
    }
  }

  #spec(): TaskSpec {
    const some = <T>(value: T): T[] => (this.below(4) === 0 ? [value] : [])
    const gpus = some({ DiscreteResourceSpec: { Kind: 'gpu', Value: 1 } })
    return {
      Resources: { Reservations: { NanoCPUs: this.below(3) * 5e8, GenericResources: gpus } },
      Placement: {
        Constraints: [...some('node.labels.zone==a'), ...some('node.labels.zone!=b')],
        Platforms: some({ OS: 'linux', Architecture: 'arm64' }),
        Preferences: some({ Spread: { SpreadDescriptor: 'node.labels.zone' } }),
        MaxReplicas: this.below(4) === 0 ? 1 : 0,
      },
    }
  }

  #changeTask(): void {
    const task = this.#pick([...this.tasks.values()])
    if (task === undefined) return
    if (this.below(3) === 0) {
      this.tasks.delete(task.id)
      this.planner.removeTask(task.id)
    } else if (this.below(2) === 0) this.set({ ...task, desiredState: TaskState.Shutdown })
    else if (task.nodeId !== undefined) this.set({ ...task, status: status(TaskState.Failed) })
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)]
  }
}

/** Counted from scratch. */
function recount({ nodes, tasks }: Cluster): NodeSet {
  const set = new NodeSet()
  for (const node of nodes.values()) set.setNode(node)
  for (const task of tasks.values()) set.setTask(task)
  return set
}

function summary(set: NodeSet, tasks: Iterable<Task>): unknown {
  const services = new Set(Array.from(tasks, ({ serviceId }) => serviceId ?? ''))
  const row = (state: NodeState) => ({
    id: state.node.id,
    cpus: state.freeNanoCpus,
    memory: state.freeMemoryBytes,
    generics: [...state.freeGenerics],
    active: state.active,
    services: [...services].filter((id) => state.activeOf(id) > 0).map((id) => [id, state.activeOf(id)]),
    ports: [8000, 8001, 8002].filter((port) => state.usesHostPort('tcp', port)),
  })
  return Array.from(set.nodes(), row).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** A reason counts every node once (except where it is about replicas, which it does not count). */
function checkReason({ id, status }: Task, nodeCount: number, context: string): void {
  const { err = '' } = status
  assert.match(err, /^no suitable node/, `${context}: ${id}`)
  const counts = [...err.matchAll(/(\d+) nodes?/g)].map(([, count]) => Number(count))
  const total = counts.reduce((sum, count) => sum + count, 0)
  const isWhole = err.includes('max replicas') ? total < nodeCount : total === nodeCount
  assert.ok(isWhole, `${context}: ${id} says "${err}" of ${nodeCount} nodes`)
}

/** Each waiting task fits nowhere, and says so; each placed one fitted when it was placed. */
function checkWaiting(cluster: Cluster, set: NodeSet, context: string): void {
  for (const task of cluster.tasks.values()) {
    const isWaiting = task.status.state === TaskState.Pending && task.desiredState <= TaskState.Complete
    if (!isWaiting) continue
    const wanted = requirementsOf(task, facts)
    const candidates =
      task.nodeId === undefined ? [...set.nodes()] : [set.get(task.nodeId)].flatMap((s) => s ?? [])
    const fitting = candidates.filter((state) => failingFilter(state, wanted) === undefined)
    assert.deepEqual(
      fitting.map(({ node }) => node.id),
      [],
      `${context}: ${task.id} would fit`,
    )
    if (task.nodeId === undefined) checkReason(task, candidates.length, context)
    else assert.notEqual(task.status.err, undefined, `${context}: ${task.id}`)
  }
}

const seeds = Array.from({ length: 10 }, (_, at) => at + 1)

for (const seed of seeds) {
  test(`what is counted step by step is right, and nobody waits in vain (seed ${seed})`, () => {
    const cluster = new Cluster(seed)
    let nowMs = 0
    for (let round = 0; round < 80; round++) {
      const context = `seed ${seed}, round ${round}`
      for (let changes = cluster.below(8); changes >= 0; changes--) {
        cluster.change()
        // Decisions and news come in any order.
        if (cluster.below(3) === 0)
          for (const decision of cluster.planner.step(nowMs)) cluster.write(decision)
      }
      for (let quiet = 0; quiet < 3; quiet++) {
        nowMs += 1000
        for (let step = cluster.planner.step(nowMs); step.length > 0; step = cluster.planner.step(nowMs))
          for (const decision of step) cluster.write(decision, quiet > 0)
      }
      const set = recount(cluster)
      const tasks = [...cluster.tasks.values()]
      assert.deepEqual(summary(cluster.planner.nodes, tasks), summary(set, tasks), context)
      for (const { status, desiredState } of tasks)
        assert.ok(status.state !== TaskState.Pending || desiredState !== TaskState.Shutdown, context)
      checkWaiting(cluster, set, context)
    }
  })
}
