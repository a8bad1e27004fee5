import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { HostEngine } from '../../src/engine/index.js'
import { TaskError, type AssignedTask, type Dependencies, type Executor } from '../../src/executor/index.js'
import type { LogMessage } from '../../src/model/logs.js'
import type { ContainerSpec, PortConfig } from '../../src/model/spec/index.js'
import { TaskState } from '../../src/model/task-state.js'
import { eventually } from '../lib/eventually.js'

/** How a container behaves, in the words of one engine. */
export interface Behaviours {
  /** Runs for ever; ends with 0 on the stop signal. */
  readonly polite: ContainerSpec
  /** Runs for ever; only SIGKILL ends it. */
  readonly stubborn: ContainerSpec
  /** Does not get past its start. */
  readonly unstartable: ContainerSpec
  /** Runs; healthy after a while. */
  readonly healthy: ContainerSpec
  /** Runs; unhealthy after a while; ignores the stop signal. */
  readonly unhealthy: ContainerSpec
  /** Writes `line` to stdout several times a second. */
  readonly talking: ContainerSpec
  /** No registry has its image. Absent where the engine's registry has every image. */
  readonly imageless?: ContainerSpec
}

/** An engine with executors, as the suite needs it. */
export interface Bed {
  readonly engine: HostEngine
  /** A new executor over the same engine, as after a restart of the daemon. */
  newExecutor(): Executor
  readonly behaviours: Behaviours
  /** An image that is there. */
  readonly image: string
  close(): Promise<void>
}

const never = new AbortController().signal
const nodeId = 'node1node1node1node1node1'

let counter = 0

export function aTask(
  spec: ContainerSpec,
  options: { ports?: readonly PortConfig[]; labels?: Record<string, string> } = {},
): AssignedTask {
  counter++
  return {
    id: `task${process.pid}x${counter}`.padEnd(25, '0'),
    version: 1,
    spec: { ContainerSpec: spec },
    serviceId: 'service1service1service1s',
    slot: counter,
    nodeId,
    serviceAnnotations: { name: 'web', labels: options.labels ?? {} },
    desiredState: TaskState.Running,
    status: { state: TaskState.Assigned, timestampMs: 0, message: '' },
    networks: [],
    ...(options.ports !== undefined && {
      endpoint: { spec: {}, ports: options.ports, virtualIPs: [] },
    }),
  }
}

export function dependencies(files: Readonly<Record<string, string>> = {}): Dependencies {
  const find = (id: string) => {
    const data = files[id]
    return data === undefined ? undefined : { name: id, data: Buffer.from(data) }
  }
  return {
    secret: find,
    config: find,
    node: { id: nodeId, hostname: 'host1', platform: { Architecture: 'x86_64', OS: 'linux' } },
  }
}

const isTaskError = (message: string | RegExp) => (error: unknown) => {
  assert.ok(error instanceof TaskError, `a TaskError, not ${String(error)}`)
  assert.equal(error.temporary, false)
  if (typeof message === 'string') assert.equal(error.message, message)
  else assert.match(error.message, message)
  return true
}

/** Rules that every executor keeps. `open` makes the engine with all that `Behaviours` names. */
export function executorSuite(
  name: string,
  skip: string | false,
  open: () => Promise<Bed>,
  options: { readonly everyImageExists?: boolean } = {},
): void {
  describe(`executor contract: ${name}`, { skip }, () => {
    let bed: Bed
    let executor: Executor
    before(async () => {
      bed = await open()
      executor = bed.newExecutor()
    })
    after(async () => {
      await executor?.close()
      await bed?.close()
    })

    const running = async (spec: ContainerSpec, options?: Parameters<typeof aTask>[1]) => {
      const task = aTask(spec, options)
      const controller = executor.controller(task, dependencies())
      await controller.prepare(never)
      await controller.start(never)
      return { task, controller }
    }
    const command = (...args: string[]): ContainerSpec => ({ Image: bed.image, Command: args })
    const inspect = async (id: string) => {
      const answer = await bed.engine.call({ method: 'GET', path: `/containers/${id}/json` })
      return {
        status: answer.status,
        body: JSON.parse(answer.body.toString('utf8')) as Record<string, unknown>,
      }
    }
    const idOf = async (controller: { containerStatus(): Promise<{ containerId: string } | undefined> }) => {
      const status = await controller.containerStatus()
      assert.ok(status !== undefined)
      return status.containerId
    }

    it('describes the node', async () => {
      const description = await executor.describe()
      assert.equal(description.Platform?.OS, 'linux')
      assert.ok((description.Resources?.NanoCPUs ?? 0) >= 1e9)
      assert.ok((description.Resources?.MemoryBytes ?? 0) > 0)
      assert.ok(
        description.Engine?.Plugins?.some(({ Type, Name }) => Type === 'Network' && Name === 'overlay'),
      )
      assert.ok(description.Engine?.Plugins?.some(({ Type, Name }) => Type === 'Volume' && Name === 'local'))
    })

    it('steps a container through its life', async () => {
      const { task, controller } = await running(bed.behaviours.polite)
      const status = await controller.containerStatus()
      assert.ok((status?.pid ?? 0) > 0)
      const { body } = await inspect(status?.containerId ?? '')
      const inspected = body as {
        Name: string
        State: { Running: boolean }
        Config: { Labels: Record<string, string> }
        HostConfig: { RestartPolicy: { Name: string } }
      }
      assert.equal(inspected.Name, `/web.${task.slot}.${task.id}`)
      assert.equal(inspected.State.Running, true)
      assert.ok(['', 'no'].includes(inspected.HostConfig.RestartPolicy.Name))
      assert.equal(inspected.Config.Labels['com.docker.swarm.task.id'], task.id)
      assert.equal(inspected.Config.Labels['com.docker.swarm.task.name'], `web.${task.slot}.${task.id}`)
      assert.equal(inspected.Config.Labels['com.docker.swarm.node.id'], nodeId)
      assert.equal(inspected.Config.Labels['com.docker.swarm.service.name'], 'web')
      await controller.shutdown(never)
      assert.equal((await controller.containerStatus())?.exitCode, 0)
      await controller.remove(never)
      assert.equal(await controller.containerStatus(), undefined)
      assert.equal((await inspect(status?.containerId ?? '')).status, 404)
      await controller.close()
    })

    it('reports exit code 0 as success', async () => {
      const { controller } = await running(command('true'))
      await controller.wait(never)
      assert.equal((await controller.containerStatus())?.exitCode, 0)
      await controller.remove(never)
    })

    it('reports another exit code as failure, in Docker’s words', async () => {
      const { controller } = await running(command('sh', '-c', 'exit 3'))
      await assert.rejects(controller.wait(never), (error: unknown) => {
        isTaskError('task: non-zero exit (3)')(error)
        return error instanceof TaskError && error.exitCode === 3
      })
      assert.equal((await controller.containerStatus())?.exitCode, 3)
      await controller.remove(never)
    })

    it('waits while the container runs', async () => {
      const { controller } = await running(command('sleep', '0.3'))
      const status = await controller.containerStatus()
      assert.ok(status !== undefined)
      await controller.wait(never)
      assert.equal((await controller.containerStatus())?.pid, 0)
      await controller.remove(never)
    })

    it('refuses a task without an image', async () => {
      const controller = executor.controller(aTask({}), dependencies())
      await assert.rejects(controller.prepare(never), isTaskError('dockerexec: image required'))
    })

    // Where the engine's registry has every image there is nothing to ask.
    if (options.everyImageExists !== true)
      it('fails to prepare an image that no one has', async () => {
        const spec = bed.behaviours.imageless
        assert.ok(spec !== undefined)
        const controller = executor.controller(aTask(spec), dependencies())
        await assert.rejects(controller.prepare(never), isTaskError(`No such image: ${spec.Image ?? ''}`))
        assert.equal(await controller.containerStatus(), undefined)
        await controller.remove(never)
      })

    it('fails to start what cannot start', async () => {
      const controller = executor.controller(aTask(bed.behaviours.unstartable), dependencies())
      await controller.prepare(never)
      await assert.rejects(controller.start(never), isTaskError(/^starting container failed: /))
      await controller.remove(never)
      assert.equal(await controller.containerStatus(), undefined)
    })

    it('fails to prepare mounts that make no sense', async () => {
      const spec = { ...bed.behaviours.polite, Mounts: [{ Type: 'bind', Source: 'relative', Target: '/x' }] }
      const controller = executor.controller(aTask(spec), dependencies())
      await assert.rejects(
        controller.prepare(never),
        isTaskError('invalid bind mount source, must be an absolute path: relative'),
      )
    })

    it('has started only when healthy', async () => {
      const task = aTask(bed.behaviours.healthy)
      const controller = executor.controller(task, dependencies())
      await controller.prepare(never)
      await controller.start(never)
      const { body } = await inspect(await idOf(controller))
      assert.equal((body['State'] as { Health: { Status: string } }).Health.Status, 'healthy')
      await controller.remove(never)
    })

    it('stops and fails what gets unhealthy instead of healthy', async () => {
      const controller = executor.controller(aTask(bed.behaviours.unhealthy), dependencies())
      await controller.prepare(never)
      await assert.rejects(
        controller.start(never),
        isTaskError('task: non-zero exit (137): dockerexec: unhealthy container'),
      )
      await controller.remove(never)
    })

    it('stops and fails what gets unhealthy while it runs', async () => {
      const task = aTask(bed.behaviours.unhealthy)
      const controller = executor.controller(task, dependencies())
      await controller.prepare(never)
      // Past the gate: as after a restart of the daemon with the task RUNNING.
      const aborted = new AbortController()
      const starting = controller.start(aborted.signal)
      await eventually(
        'the container to run',
        async () => ((await controller.containerStatus())?.pid ?? 0) > 0,
      )
      aborted.abort(new Error('enough'))
      await assert.rejects(starting)
      await assert.rejects(
        controller.wait(never),
        isTaskError('task: non-zero exit (137): dockerexec: unhealthy container'),
      )
      await controller.remove(never)
    })

    it('kills after the grace period', async () => {
      const { controller } = await running({ ...bed.behaviours.stubborn, StopGracePeriod: 1e9 })
      await controller.shutdown(never)
      assert.equal((await controller.containerStatus())?.exitCode, 137)
      await controller.remove(never)
    })

    it('may be asked for every step again', async () => {
      const { controller } = await running(bed.behaviours.polite)
      const before = await controller.containerStatus()
      await controller.prepare(never)
      await controller.start(never)
      assert.deepEqual(await controller.containerStatus(), before)
      await controller.shutdown(never)
      await controller.shutdown(never)
      await controller.prepare(never)
      await controller.start(never)
      assert.equal((await controller.containerStatus())?.pid, 0, 'a stopped container is not started again')
      await controller.wait(never)
      await controller.remove(never)
      await controller.remove(never)
      await controller.shutdown(never)
    })

    it('makes one container however often it prepares at a time', async () => {
      const task = aTask(bed.behaviours.polite)
      const other = bed.newExecutor()
      const controllers = [executor, executor, other].map((each) => each.controller(task, dependencies()))
      await Promise.all(controllers.map((controller) => controller.prepare(never)))
      const ids = await Promise.all(controllers.map(idOf))
      assert.equal(new Set(ids).size, 1)
      const listed = (await executor.listTaskContainers(nodeId)).filter(({ taskId }) => taskId === task.id)
      assert.deepEqual(listed, [{ taskId: task.id, containerId: ids[0] }])
      await controllers[0]?.remove(never)
      await other.close()
    })

    it('adopts a container in every state', async () => {
      const task = aTask(command('sh', '-c', 'exit 4'))
      const steps = ['prepare', 'start', 'wait'] as const
      const adopt = async () => {
        const next = bed.newExecutor()
        return { next, controller: next.controller(task, dependencies()) }
      }
      for (const step of steps) {
        const { next, controller } = await adopt()
        if (step === 'wait')
          await assert.rejects(controller.wait(never), isTaskError('task: non-zero exit (4)'))
        else await controller[step](never)
        await controller.close()
        await next.close()
      }
      const { next, controller } = await adopt()
      await controller.prepare(never)
      await controller.start(never)
      await assert.rejects(controller.wait(never), isTaskError('task: non-zero exit (4)'))
      await controller.remove(never)
      await assert.rejects(controller.wait(never), isTaskError('dockerexec: container destroyed'))
      await next.close()
    })

    it('finds and removes the containers of tasks that nobody knows', async () => {
      const { task, controller } = await running(bed.behaviours.stubborn)
      const id = await idOf(controller)
      assert.deepEqual(await executor.listTaskContainers('another-node'), [])
      const listed = await executor.listTaskContainers(nodeId)
      assert.ok(listed.some(({ taskId, containerId }) => taskId === task.id && containerId === id))
      await executor.removeTaskContainer(id)
      await executor.removeTaskContainer(id)
      assert.equal((await inspect(id)).status, 404)
    })

    it('notices a container that is removed behind its back', async () => {
      const { controller } = await running(bed.behaviours.stubborn)
      const id = await idOf(controller)
      // A forced removal kills first: which of the two is seen is a matter of time.
      const gone = /^(dockerexec: container destroyed|task: non-zero exit \(137\))$/
      const waiting = assert.rejects(controller.wait(never), isTaskError(gone))
      await bed.engine.call({ method: 'DELETE', path: `/containers/${id}?force=1` })
      await waiting
      await controller.shutdown(never)
      await controller.remove(never)
    })

    it('notices a container that is stopped behind its back', async () => {
      const { controller } = await running(bed.behaviours.stubborn)
      const waiting = assert.rejects(controller.wait(never), isTaskError('task: non-zero exit (137)'))
      await bed.engine.call({ method: 'POST', path: `/containers/${await idOf(controller)}/kill` })
      await waiting
      await controller.remove(never)
    })

    it('reports the real number of a port that the engine chose', async () => {
      const ports = [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'host' }]
      const { controller } = await running(bed.behaviours.polite, { ports })
      const status = await controller.portStatus()
      assert.equal(status.length, 1)
      assert.deepEqual({ ...status[0], PublishedPort: 0 }, { ...ports[0], PublishedPort: 0 })
      assert.ok((status[0]?.PublishedPort ?? 0) > 1024)
      await controller.remove(never)
    })

    it('publishes a port that was asked for', async () => {
      const ports = [
        { Protocol: 'udp', TargetPort: 53, PublishedPort: 15_353, PublishMode: 'host' },
        { Protocol: 'tcp', TargetPort: 80, PublishedPort: 18_080, PublishMode: 'ingress' },
      ]
      const { controller } = await running(bed.behaviours.polite, { ports })
      assert.deepEqual(await controller.portStatus(), [ports[0]])
      await controller.remove(never)
    })

    it('expands templates on the node', async () => {
      const spec: ContainerSpec = {
        ...bed.behaviours.polite,
        Hostname: '{{.Node.Hostname}}-{{.Task.Slot}}',
        Env: ['SERVICE={{.Service.Name}}', 'LABEL={{index .Service.Labels "tier"}}'],
      }
      const { task, controller } = await running(spec, { labels: { tier: 'front' } })
      const { body } = await inspect(await idOf(controller))
      const config = body['Config'] as { Hostname: string; Env: string[] }
      assert.equal(config.Hostname, `host1-${task.slot}`)
      assert.ok(config.Env.includes('SERVICE=web'))
      assert.ok(config.Env.includes('LABEL=front'))
      await controller.remove(never)
    })

    it('takes named volumes along and leaves them behind', async () => {
      const spec: ContainerSpec = {
        ...bed.behaviours.polite,
        Mounts: [
          {
            Type: 'volume',
            Source: `data${process.pid}`,
            Target: '/data',
            VolumeOptions: { Labels: { a: 'b' } },
          },
        ],
      }
      const { controller } = await running(spec)
      await controller.remove(never)
      const answer = await bed.engine.call({ method: 'GET', path: `/volumes/data${process.pid}` })
      assert.equal(answer.status, 200)
      assert.deepEqual((JSON.parse(answer.body.toString('utf8')) as { Labels: unknown }).Labels, { a: 'b' })
    })

    it('fails without a secret that the task needs', async () => {
      const spec: ContainerSpec = {
        ...bed.behaviours.polite,
        Secrets: [
          { SecretID: 'missing', SecretName: 'key', File: { Name: 'key', UID: '0', GID: '0', Mode: 0o444 } },
        ],
      }
      const controller = executor.controller(aTask(spec), dependencies())
      await assert.rejects(controller.prepare(never), isTaskError(/secret key/))
    })

    const collect = async (logs: AsyncIterable<LogMessage>): Promise<LogMessage[]> => {
      const messages: LogMessage[] = []
      for await (const message of logs) messages.push(message)
      return messages
    }

    it('reads logs: all, the last ones, and those since a time', async () => {
      const { controller } = await running(bed.behaviours.talking)
      const read = (options: object = {}) =>
        collect(controller.logs({ follow: false, stdout: true, stderr: true, ...options }, never))
      await eventually('five lines', async () => (await read()).length >= 5)
      await controller.shutdown(never)
      const all = await read()
      assert.ok(all.every(({ data, stream }) => data.toString('utf8') === 'line\n' && stream === 'stdout'))
      const times = all.map(({ timestampNs }) => timestampNs)
      assert.ok(times.every((time, index) => index === 0 || time >= (times[index - 1] ?? 0n)))
      assert.deepEqual(await read({ tail: 2 }), all.slice(-2))
      assert.deepEqual(await read({ tail: 0 }), [])
      const third = Math.ceil(Number(times[2] ?? 0n) / 1e6)
      const since = await read({ sinceMs: third })
      assert.deepEqual(
        since,
        all.filter(({ timestampNs }) => timestampNs >= BigInt(third) * 1_000_000n),
      )
      assert.ok(since.length < all.length && since.length > 0)
      assert.deepEqual(await read({ stdout: false }), [])
      await controller.remove(never)
      assert.deepEqual(await read(), [], 'a removed container has no log')
    })

    it('follows a log until the container ends', async () => {
      const { controller } = await running(bed.behaviours.talking)
      const following = collect(controller.logs({ follow: true, stdout: true, stderr: false }, never))
      await eventually('three lines', async () => {
        const read = await collect(controller.logs({ follow: false, stdout: true, stderr: false }, never))
        return read.length >= 3
      })
      await controller.shutdown(never)
      const all = await collect(controller.logs({ follow: false, stdout: true, stderr: false }, never))
      assert.deepEqual(await following, all)
      await controller.remove(never)
    })

    it('follows a log from before the start', async () => {
      const controller = executor.controller(aTask(bed.behaviours.talking), dependencies())
      await controller.prepare(never)
      const stop = new AbortController()
      const following = collect(controller.logs({ follow: true, stdout: true, stderr: true }, stop.signal))
      await controller.start(never)
      await eventually('two lines', async () => {
        const read = await collect(controller.logs({ follow: false, stdout: true, stderr: true }, never))
        return read.length >= 2
      })
      stop.abort(new Error('enough'))
      assert.ok((await following).length >= 1)
      await controller.remove(never)
    })

    it('lets every step be broken off and called again', async () => {
      const reason = new Error('broken off')
      const is = (error: unknown) => error === reason
      const aborted = AbortSignal.abort(reason)
      const controller = executor.controller(aTask(bed.behaviours.polite), dependencies())
      await assert.rejects(controller.prepare(aborted), is)
      await controller.prepare(never)
      await assert.rejects(controller.start(aborted), is)
      await controller.start(never)
      const stop = new AbortController()
      const waiting = assert.rejects(controller.wait(stop.signal), is)
      stop.abort(reason)
      await waiting
      await assert.rejects(controller.shutdown(aborted), is)
      await controller.shutdown(never)
      await controller.wait(never)
      await controller.remove(never)
    })
  })
}
