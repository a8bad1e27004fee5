import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DockerEngine, SimulatedEngine, SimWorld } from '../../../src/engine/index.js'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import { DockerExecutor, TaskError } from '../../../src/executor/index.js'
import type { ContainerSpec } from '../../../src/model/spec/index.js'
import { aTask, dependencies } from '../../contract/executor-suite.js'
import { eventually } from '../../lib/eventually.js'

const never = new AbortController().signal

/** An engine that can be taken away and given back, with the containers going on behind it. */
describe('an engine that goes away and comes back', () => {
  const env = systemEnv(silentLog)
  let dir = ''
  let simulated: SimulatedEngine
  let server: Server
  let requests = 0
  let engine: DockerEngine
  let executor: DockerExecutor

  const up = async () => {
    server = createServer((request, response) => {
      requests++
      simulated.passThrough(request, response, (request.url ?? '/').replace(/^\/v[\d.]+/, ''), '')
    })
    server.listen(join(dir, 'engine.sock'))
    await once(server, 'listening')
  }
  const down = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'skep-away-'))
    simulated = new SimulatedEngine(env, new SimWorld(env, { hostname: 'h', cpus: 1, memoryBytes: 1 }))
    await up()
    engine = await DockerEngine.open(env, join(dir, 'engine.sock'))
    executor = new DockerExecutor(env, engine, {
      hostname: 'h',
      labels: [],
      genericResources: [],
      dataRoot: dir,
    })
  })
  afterEach(async () => {
    await executor.close()
    await engine.close()
    await simulated.close()
    if (server.listening) await down()
    rmSync(dir, { recursive: true, force: true })
  })

  const running = async (spec: ContainerSpec) => {
    const controller = executor.controller(aTask({ Image: 'busybox', ...spec }), dependencies())
    await controller.prepare(never)
    await controller.start(never)
    const id = (await controller.containerStatus())?.containerId ?? ''
    return { controller, container: simulated.world.find(id) }
  }

  it('does not lose the exit code of a container that ended meanwhile', async () => {
    const { controller, container } = await running({})
    const failed = assert.rejects(
      controller.wait(never),
      new TaskError('task: non-zero exit (137)', { exitCode: 137 }),
    )
    await down()
    container?.signal('SIGKILL')
    await up()
    await failed
    await controller.remove(never)
  })

  it('goes on waiting for a container that still runs', async () => {
    const { controller, container } = await running({})
    let settled = false
    const waiting = controller.wait(never).finally(() => {
      settled = true
    })
    await down()
    await up()
    const before = requests
    await eventually('the executor to look again', () => requests > before)
    assert.equal(settled, false)
    await container?.stop()
    await waiting
    await controller.remove(never)
  })

  it('makes steps fail for the time being', async () => {
    const { controller } = await running({})
    await down()
    const other = executor.controller(aTask({ Image: 'busybox' }), dependencies())
    const isTemporary = (error: unknown) => error instanceof TaskError && error.temporary
    await assert.rejects(other.prepare(never), isTemporary)
    await assert.rejects(controller.shutdown(never), isTemporary)
    await assert.rejects(controller.remove(never), isTemporary)
    await up()
    await controller.remove(never)
  })

  it('can be given up', async () => {
    const { controller } = await running({})
    await down()
    const stop = new AbortController()
    const waiting = assert.rejects(controller.wait(stop.signal), /enough/)
    stop.abort(new Error('enough'))
    await waiting
  })
})
