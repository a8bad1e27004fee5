import { simEngineVersion, type SimWorld } from '../../engine/sim/world.js'
import type { GenericResource, NodeDescription } from '../../model/spec/index.js'
import { nodeIdLabel, taskIdLabel } from '../container-config.js'
import { parseLabels } from '../generic-resources.js'
import type { AssignedTask, Controller, Dependencies, Executor } from '../interface.js'
import { SimController } from './controller.js'

const plugins = [
  ...['awslogs', 'fluentd', 'gcplogs', 'gelf', 'journald', 'json-file', 'local', 'splunk', 'syslog'].map(
    (Name) => ({ Type: 'Log', Name }),
  ),
  ...['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'].map((Name) => ({ Type: 'Network', Name })),
  { Type: 'Volume', Name: 'local' },
]

/** Runs tasks in a simulated world. Closing it leaves the world as it is. */
export class SimExecutor implements Executor {
  readonly #world: SimWorld
  readonly #genericResources: readonly GenericResource[]

  constructor(world: SimWorld, options: { readonly genericResources?: readonly GenericResource[] } = {}) {
    this.#world = world
    this.#genericResources = options.genericResources ?? []
  }

  describe(): Promise<NodeDescription> {
    const { hostname, cpus, memoryBytes, labels = [] } = this.#world.options
    return Promise.resolve({
      Hostname: hostname,
      Platform: { Architecture: 'x86_64', OS: 'linux' },
      Resources: {
        NanoCPUs: Math.round(cpus * 1e9),
        MemoryBytes: memoryBytes,
        ...(this.#genericResources.length > 0 && { GenericResources: this.#genericResources }),
      },
      Engine: { EngineVersion: simEngineVersion, Labels: parseLabels(labels), Plugins: plugins },
    })
  }

  controller(task: AssignedTask, dependencies: Dependencies): Controller {
    return new SimController(this.#world, task, dependencies)
  }

  listTaskContainers(nodeId: string): Promise<readonly { taskId: string; containerId: string }[]> {
    return Promise.resolve(
      this.#world
        .containers()
        .filter(({ make }) => make.labels[nodeIdLabel] === nodeId && make.labels[taskIdLabel] !== undefined)
        .map(({ id, make }) => ({ taskId: make.labels[taskIdLabel] ?? '', containerId: id })),
    )
  }

  removeTaskContainer(containerId: string): Promise<void> {
    const container = this.#world.find(containerId)
    if (container !== undefined) this.#world.remove(container, { force: true, volumes: true })
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
