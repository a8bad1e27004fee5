import type { DockerEngine } from '../../engine/index.js'
import type { Env } from '../../env/env.js'
import { SwarmError } from '../../model/errors.js'
import type { GenericResource, NodeDescription } from '../../model/spec/index.js'
import { engineDefaultAttacher, type Attacher } from '../attacher.js'
import { nodeIdLabel, taskIdLabel } from '../container-config.js'
import { parseLabels } from '../generic-resources.js'
import type { AssignedTask, Controller, Dependencies, Executor } from '../interface.js'
import { EngineApi, type EngineInfo } from './api.js'
import { ContainerEvents } from './container-events.js'
import { DockerController, type ControllerHost } from './controller.js'
import { FileStore } from './file-store.js'

export interface DockerExecutorOptions {
  readonly hostname: string
  /** `key=value`; they take precedence over the engine's own labels. */
  readonly labels: readonly string[]
  readonly genericResources: readonly GenericResource[]
  readonly dataRoot: string
  /** What dockerd reads from `DOCKER_SERVICE_PREFER_OFFLINE_IMAGE`. */
  readonly preferOfflineImage?: boolean
  readonly attacher?: Attacher
}

/** Runs tasks as containers of a Docker engine, or of Podman's Docker-compatible service. */
export class DockerExecutor implements Executor {
  readonly #options: DockerExecutorOptions
  readonly #host: ControllerHost
  #swept = false

  constructor(env: Env, engine: DockerEngine, options: DockerExecutorOptions) {
    this.#options = options
    const api = new EngineApi(engine)
    this.#host = {
      env,
      api,
      events: new ContainerEvents(env, api),
      files: new FileStore(env, options.dataRoot),
      attacher: options.attacher ?? engineDefaultAttacher,
      preferOfflineImage: options.preferOfflineImage ?? false,
    }
  }

  async describe(): Promise<NodeDescription> {
    const { hostname, labels, genericResources } = this.#options
    const info = await this.#host.api.info()
    return {
      Hostname: hostname,
      Platform: { Architecture: info.Architecture ?? '', OS: info.OSType ?? 'linux' },
      Resources: {
        NanoCPUs: (info.NCPU ?? 0) * 1e9,
        MemoryBytes: info.MemTotal ?? 0,
        ...(genericResources.length > 0 && { GenericResources: genericResources }),
      },
      Engine: {
        EngineVersion: info.ServerVersion ?? '',
        Labels: parseLabels([...(info.Labels ?? []), ...labels]),
        Plugins: plugins(info),
      },
    }
  }

  controller(task: AssignedTask, dependencies: Dependencies): Controller {
    return new DockerController(this.#host, task, dependencies)
  }

  async listTaskContainers(nodeId: string): Promise<readonly { taskId: string; containerId: string }[]> {
    const all = await this.#host.api.listContainers(taskIdLabel)
    const tasks = all.map(({ Id, Labels }) => ({
      taskId: Labels?.[taskIdLabel] ?? '',
      containerId: Id,
      nodeId: Labels?.[nodeIdLabel] ?? '',
    }))
    if (!this.#swept) {
      this.#swept = true
      await this.#host.files.keepOnly(new Set(tasks.map(({ taskId }) => taskId)))
    }
    return tasks
      .filter((task) => task.nodeId === nodeId)
      .map(({ taskId, containerId }) => ({ taskId, containerId }))
  }

  async removeTaskContainer(containerId: string): Promise<void> {
    const { api, files } = this.#host
    try {
      const { Config } = await api.inspectContainer(containerId)
      await api.removeContainer(containerId)
      const taskId = Config.Labels?.[taskIdLabel]
      if (taskId !== undefined && taskId !== '') await files.remove(taskId)
    } catch (error) {
      if (!(error instanceof SwarmError && error.code === 'NotFound')) throw error
    }
  }

  close(): Promise<void> {
    this.#host.events.close()
    return Promise.resolve()
  }
}

/** Sorted by type and name. `overlay` is there whatever the engine says: it is Skep's own. */
function plugins(info: EngineInfo): { Type: string; Name: string }[] {
  const names = (type: string, more: readonly string[] = []) =>
    [...new Set([...(info.Plugins?.[type] ?? []), ...more])].sort().map((Name) => ({ Type: type, Name }))
  return [
    ...names('Authorization'),
    ...names('Log'),
    ...names('Network', ['overlay']),
    ...names('Volume', ['local']),
  ]
}
