import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { SimulatedEngine, SimWorld } from '../../../src/engine/index.js'
import type { SwarmEvent } from '../../../src/events/event.js'
import { SwarmError } from '../../../src/model/errors.js'
import { TaskState } from '../../../src/model/task-state.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../../../src/model/logs.js'
import { taskHealth } from '../../../src/routes/events/task-health.js'
import { aService, aTask, newObject } from '../../lib/builders.js'
import { eventually } from '../../lib/eventually.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { systemEnv } from '../../../src/env/system.js'
import { silentLog } from '../../../src/env/log.js'
import { FakeEngine, testApp, type TestApp } from './fake-backend.js'

const logPath = '/services/demo-log/logs'

async function logApp(t: TestContext, tty = false): Promise<TestApp> {
  const tested = testApp()
  t.after(() => tested.app.close())
  const spec = { ContainerSpec: { Image: 'busybox', ...(tty && { TTY: true }) } }
  tested.store.restore(1, [
    { table: 'services', object: aService({ id: 's1', spec: { Name: 'demo-log', TaskTemplate: spec } }) },
    { table: 'tasks', object: aTask({ id: 't1', serviceId: 's1', spec }) },
    { table: 'tasks', object: aTask({ id: 't2', spec: { NetworkAttachmentSpec: {} } }) },
  ])
  await tested.app.ready()
  return tested
}

function message(fields: Partial<TaskLogMessage> = {}): TaskLogMessage {
  return {
    stream: 'stdout',
    timestampNs: 1_795_232_031_892_386_236n,
    attrs: {},
    data: Buffer.from('out-line\n'),
    nodeId: '4sw12oa9y4j3rpem6rthv2a6w',
    serviceId: 'g5jlb86x4f6pe6jyzgnewz3lt',
    taskId: 'sniz962ka6wo27lyzpi58dq43',
    ...fields,
  }
}

async function* from(messages: readonly TaskLogMessage[], failure?: Error): AsyncGenerator<TaskLogMessage> {
  yield* messages
  if (failure !== undefined) throw failure
}

describe('logs', () => {
  test('are framed as a recorded dockerd frames them', async (t) => {
    const path = join(process.cwd(), 'test/conformance/captures/service-logs.json')
    const { exchanges } = JSON.parse(readFileSync(path, 'utf8')) as {
      exchanges: { response: { body: string | { base64: string } } }[]
    }
    const { app, swarm } = await logApp(t)
    swarm.logMessages = () =>
      from([message({ stream: 'stderr', data: Buffer.from('err-line\n') }), message()])
    const plain = await app.inject(`${logPath}?stdout=1&stderr=1`)
    assert.equal(`${plain.body}${plain.body}`, exchanges[1]?.response.body)

    // 03:33:51.892386236Z, and another task's line with zeros at the end of its time.
    swarm.logMessages = () =>
      from([
        message({ timestampNs: 1_795_232_031_892_386_236n }),
        message({ timestampNs: 1_795_232_032_495_003_983n, taskId: 'jijdd3e1fdkalrar2ezbi1jky' }),
      ])
    const detailed = await app.inject(`${logPath}?stdout=1&details=1&timestamps=1&tail=1`)
    const recorded = exchanges[2]?.response.body as { base64: string }
    const text = (bytes: Buffer) => bytes.toString('latin1').replace(/2026-11-21T0\d:\d\d:/g, 'TIME:')
    assert.equal(text(detailed.rawPayload), text(Buffer.from(recorded.base64, 'base64')))
  })

  test('have the types of their API version and terminal', async (t) => {
    const { app } = await logApp(t)
    const type = async (url: string) => (await app.inject(url)).headers['content-type']
    assert.equal(await type(`/v1.42${logPath}?stdout=1`), 'application/vnd.docker.multiplexed-stream')
    assert.equal(await type(`/v1.41${logPath}?stdout=1`), 'application/vnd.docker.raw-stream')
    const terminal = await logApp(t, true)
    terminal.swarm.logMessages = () => from([message()])
    const answer = await terminal.app.inject(`${logPath}?stdout=1`)
    assert.equal(answer.headers['content-type'], 'application/vnd.docker.raw-stream')
    assert.equal(answer.body, 'out-line\n')
  })

  test('pass on what is asked for', async (t) => {
    const { app, swarm } = await logApp(t)
    const asked: { selector: LogSelector; options: LogOptions }[] = []
    swarm.logMessages = (selector, options) => {
      asked.push({ selector, options })
      return from([])
    }
    await app.inject(`${logPath}?stdout=true&stderr=no&follow=1&since=1700000000.5&tail=7`)
    await app.inject('/tasks/t1/logs?stderr=1&tail=all&since=0')
    assert.deepEqual(asked, [
      {
        selector: { serviceIds: ['s1'], taskIds: [] },
        options: { follow: true, stdout: true, stderr: false, sinceMs: 1_700_000_000_500, tail: 7 },
      },
      {
        selector: { serviceIds: [], taskIds: ['t1'] },
        options: { follow: false, stdout: false, stderr: true },
      },
    ])
  })

  test('escape details, in order', async (t) => {
    const { app, swarm } = await logApp(t)
    swarm.logMessages = () => from([message({ attrs: { z: 'a b', 'a,b': 'c=d*' } })])
    const { body } = await app.inject(`${logPath}?stdout=1&details=1`)
    assert.match(body.slice(8), /^a%2Cb=c%3Dd%2A,com\.docker\.swarm\.node\.id=\w+,.*,z=a\+b out-line\n$/)
  })

  test('are refused before they begin', async (t) => {
    const { app } = await logApp(t)
    for (const [url, expected] of [
      [logPath, `400 must specify at least one of 'stdout' or 'stderr'`],
      [`${logPath}?stdout=1&tail=x`, '500 tail value must be a positive integer or "all"'],
      [`${logPath}?stdout=1&tail=-1`, '500 negative tail values not supported'],
      [
        `${logPath}?stdout=1&since=zz`,
        '400 invalid value for "since": strconv.ParseInt: parsing "zz": invalid syntax',
      ],
      ['/services/nosuch/logs?stdout=1', '404 service nosuch not found'],
      ['/tasks/nosuch/logs?stdout=1', '404 task nosuch not found'],
      ['/tasks/t2/logs?stdout=1', '500 logs only supported on container tasks'],
    ] as const) {
      const answer = await app.inject(url)
      assert.equal(`${answer.statusCode} ${answer.json<{ message: string }>().message}`, expected, url)
    }
  })

  test('tell later failures inside', async (t) => {
    const { app, swarm } = await logApp(t)
    swarm.logMessages = () => from([message()], new SwarmError('Unknown', 'warning: incomplete log stream'))
    const answer = await app.inject(`${logPath}?stdout=1`)
    assert.equal(answer.statusCode, 200)
    const text = 'Error grabbing logs: warning: incomplete log stream\n'
    const expected = Buffer.concat([
      Buffer.from([1, 0, 0, 0, 0, 0, 0, 9]),
      Buffer.from('out-line\n'),
      Buffer.from([3, 0, 0, 0, 0, 0, 0, text.length]),
      Buffer.from(text),
    ])
    assert.deepEqual(answer.rawPayload, expected)
  })

  test('end with the server', async (t) => {
    const { app, swarm } = await logApp(t)
    swarm.logMessages = async function* (_selector, _options, signal) {
      yield message()
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    }
    const answer = app.inject(`${logPath}?stdout=1&follow=1`)
    await new Promise((resolve) => setImmediate(resolve))
    await app.close()
    assert.equal((await answer).body.slice(8), 'out-line\n')
  })
})

interface ShownEvent {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly Attributes: { readonly name: string } }
  readonly scope: string
}

function summary(body: string): readonly string[] {
  return body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { Type, Action, Actor } = JSON.parse(line.replace('\u001e', '')) as ShownEvent
      return `${Type} ${Action} ${Actor.Attributes.name}`
    })
}

describe('events', () => {
  async function eventApp(t: TestContext): Promise<TestApp & { readonly env: SimulatedEnv }> {
    const env = new SimulatedEnv(1)
    const tested = testApp(env)
    t.after(() => tested.app.close())
    await tested.app.ready()
    return { ...tested, env }
  }

  const secret = (Name: string, Labels = {}) => ({ spec: { Name, Labels, Data: 'YQ==' } })

  /** The answer of a request whose `until` is now or will be reached by `env`. */
  async function ended({ app, env }: { app: TestApp['app']; env: SimulatedEnv }, url: string, headers = {}) {
    const answer = app.inject({ url, headers })
    const state = { isDone: false }
    const done = answer.finally(() => (state.isDone = true))
    while (!state.isDone) await env.advanceAsync(1)
    await done
    return answer
  }

  test('the past is told for a range of time', async (t) => {
    const tested = await eventApp(t)
    const { control, env } = tested
    const startS = env.nowMs() / 1000
    await control.createSecret(secret('a'))
    env.advance(10_000)
    await control.createConfig(secret('b'))
    await control.removeSecret({ id: 'a' })
    env.advance(10_000)
    const range = `since=${startS}&until=${startS + 20}`
    const all = await ended(tested, `/events?${range}`)
    assert.deepEqual(summary(all.body), ['secret create a', 'config create b', 'secret remove a'])
    const part = await ended(tested, `/events?since=${startS + 10}&until=${startS + 20}`)
    assert.deepEqual(summary(part.body), ['config create b', 'secret remove a'])
    const filtered = async (filters: object) => {
      const query = encodeURIComponent(JSON.stringify(filters))
      return summary((await ended(tested, `/events?${range}&filters=${query}`)).body)
    }
    assert.deepEqual(await filtered({ type: ['config'] }), ['config create b'])
    assert.deepEqual(await filtered({ event: ['remove'] }), ['secret remove a'])
    assert.deepEqual(await filtered({ secret: ['a'] }), ['secret create a', 'secret remove a'])
    assert.deepEqual(await filtered({ scope: ['local'] }), [])
    assert.deepEqual(await filtered({ label: ['name=b'], whatever: ['x'] }), ['config create b'])
  })

  test('tasks are told of to those who ask for them', async (t) => {
    const tested = await eventApp(t)
    const { control, env, store } = tested
    const spec = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'busybox' } } }
    const { id: serviceId } = await control.createService({ spec })
    const serviceAnnotations = { name: 'web', labels: {} }
    const task = newObject(aTask({ id: 't1', serviceId, slot: 2, nodeId: 'n1', serviceAnnotations }))
    await store.update((tx) => tx.create('tasks', task))
    env.advance(1000)
    const status = { ...task.status, state: TaskState.Failed, err: 'task: non-zero exit (3)' }
    await store.update((tx) => tx.update('tasks', 't1', { status }))
    await store.update((tx) => tx.remove('tasks', 't1'))
    const ask = async (filters: object) =>
      (
        await ended(
          tested,
          `/events?since=1&until=${env.nowMs() / 1000}&filters=${encodeURIComponent(JSON.stringify(filters))}`,
        )
      ).body
    assert.deepEqual(summary(await ask({ service: ['web'] })), ['service create web'])
    const name = 'web.2.t1'
    const all = [`task create ${name}`, `task state ${name}`, `task remove ${name}`]
    assert.deepEqual(summary(await ask({ type: ['task'] })), all)
    assert.deepEqual(summary(await ask({ type: ['task'], service: ['web'], node: ['n1'] })), all)
    assert.deepEqual(summary(await ask({ type: ['task'], service: ['db'] })), [])
    assert.deepEqual(summary(await ask({ type: ['task', 'service'] })), ['service create web', ...all])
    const [line] = (await ask({ type: ['task'], event: ['state'] })).trim().split('\n')
    assert.deepEqual((JSON.parse(line ?? '') as { Actor: unknown }).Actor, {
      ID: 't1',
      Attributes: {
        'state.old': 'pending',
        'state.new': 'failed',
        error: 'task: non-zero exit (3)',
        name,
        node: 'n1',
        service: serviceId,
        'service.name': 'web',
        slot: '2',
      },
    })
  })

  test('the engine tells how healthy the tasks of its node are', async () => {
    const engine = new FakeEngine()
    const labels = {
      'com.docker.swarm.task.id': 't1',
      'com.docker.swarm.task.name': 'web.1.t1',
      'com.docker.swarm.service.name': 'web',
    }
    const line = (Action: string, Attributes: Record<string, string>) =>
      `{"Type":"container","Action":"${Action}","Actor":${JSON.stringify({ ID: 'c1', Attributes })},"scope":"local","time":1,"timeNano":1795231429972555017}\n`
    engine.events = (async function* () {
      yield Buffer.from(line('health_status: unhealthy', labels) + line('health_status: healthy', {}))
    })()
    const events: SwarmEvent[] = []
    await taskHealth(engine, new AbortController().signal, (event) => events.push(event))
    assert.deepEqual(events, [
      {
        type: 'task',
        action: 'health',
        id: 't1',
        attributes: { container: 'c1', health: 'unhealthy', name: 'web.1.t1', 'service.name': 'web' },
        timeNs: 1795231429972555017n,
      },
    ])
    assert.match(decodeURIComponent(engine.calls[0]?.path ?? ''), /health_status/)
  })

  test('come as they happen, with those of the engine', async (t) => {
    const tested = await eventApp(t)
    const { app, env, control, engine } = tested
    const local =
      '{"status":"start","id":"c1","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"name":"x"}},"scope":"local","time":1,"timeNano":1795231429972555017}'
    engine.events = (async function* () {
      yield Buffer.from(local.slice(0, 50))
      yield Buffer.from(`${local.slice(50)}\n`)
    })()
    const until = env.nowMs() / 1000 + 60
    const answer = app.inject(
      `/v1.51/events?until=${until}&filters=${encodeURIComponent('{"type":{"container":true,"secret":true}}')}`,
    )
    await eventually('a call of the engine', () => engine.calls.length === 1)
    assert.match(engine.calls[0]?.path ?? '', /^\/events\?until=\d+&filters=/)
    await control.createSecret(secret('now'))
    await new Promise((resolve) => setImmediate(resolve))
    env.advance(61_000)
    const { headers, body } = await answer
    assert.equal(headers['content-type'], 'application/json')
    assert.deepEqual([...summary(body)].sort(), ['container start x', 'secret create now'])
    assert.ok(body.includes(`${local}\n`), 'nanoseconds and members of old are as they were')
  })

  test('those of the simulated engine come and end as well', async (t) => {
    const tested = await eventApp(t)
    const { app, env, engine, control } = tested
    const world = new SimWorld(env, { hostname: 'h', cpus: 1, memoryBytes: 1 })
    const simulated = new SimulatedEngine(env, world)
    engine.stream = (request, signal) => simulated.stream(request, signal)
    await world.images.pull('busybox', { delayMs: 0 })
    const answer = app.inject(`/events?until=${env.nowMs() / 1000 + 60}`)
    await env.advanceAsync(1)
    world.create('c', () => ({ Image: 'busybox' }))
    await control.createSecret(secret('a'))
    await env.advanceAsync(61_000)
    const lines = summary((await answer).body)
    assert.ok(lines.includes('container create c') && lines.includes('secret create a'), lines.join('; '))
    await simulated.close()
  })

  test('have the form that is asked for', async (t) => {
    const tested = await eventApp(t)
    const { control, engine, env } = tested
    await control.createSecret(secret('a'))
    const until = env.nowMs() / 1000
    const url = (version: string) => `${version}/events?since=1&until=${until}`
    const line = /^\{"Type":"secret","Action":"create",.*"scope":"swarm","time":\d+,"timeNano":\d{19}\}\n$/
    const newest = await ended(tested, url(''))
    assert.equal(newest.headers['content-type'], 'application/jsonl')
    assert.match(newest.body, line)
    const separated = await ended(tested, url('/v1.52'), { accept: 'application/json-seq' })
    assert.equal(separated.headers['content-type'], 'application/json-seq')
    assert.equal(separated.body.charAt(0), '\u001e')
    assert.match(separated.body.slice(1), line)
    const old = await ended(tested, url('/v1.51'), { accept: 'application/x-ndjson' })
    assert.equal(old.headers['content-type'], 'application/json')
    engine.events = (async function* () {
      yield Buffer.from(
        '{"status":"start","id":"c\\"1","Type":"container","Action":"start","Actor":{"ID":"c","Attributes":{"name":"x"}}}\n',
      )
    })()
    const merged = await ended(tested, url(''), { accept: 'application/x-ndjson' })
    assert.equal(merged.headers['content-type'], 'application/x-ndjson')
    assert.match(merged.body, /^\{"Type":"container"/m)
  })

  test('with times that make no sense', async (t) => {
    const { app } = await eventApp(t)
    const refusal = async (query: string) =>
      (await app.inject(`/events?${query}`)).json<{ message: string }>().message
    assert.equal(await refusal('since=20&until=10'), '`since` time (20) cannot be after `until` time (10)')
    assert.match(await refusal('since=zz'), /^invalid value for 'since': strconv\.ParseInt: parsing "zz"/)
  })

  test('of changes: what of a service and a node changed', async (t) => {
    const tested = await eventApp(t)
    const { control, store, env } = tested
    const spec = {
      Name: 'web',
      TaskTemplate: { ContainerSpec: { Image: 'a' } },
      Mode: { Replicated: { Replicas: 1 } },
    }
    const { id } = await control.createService({ spec })
    await control.updateService({
      id,
      version: store.view.services.get(id)?.version ?? 0,
      spec: {
        ...spec,
        TaskTemplate: { ContainerSpec: { Image: 'b' } },
        Mode: { Replicated: { Replicas: 2 } },
      },
      registryAuthFrom: 'spec',
      rollback: 'none',
    })
    await store.update((tx) => {
      tx.update('services', id, { updateStatus: { state: 'updating', message: '' } })
    })
    await store.update((tx) => {
      tx.update('services', id, { updateStatus: { state: 'completed', message: '' } })
    })
    const { body } = await ended(tested, `/events?since=1&until=${env.nowMs() / 1000}`)
    const attributes = body
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as ShownEvent).Actor.Attributes)
    assert.deepEqual(attributes, [
      { name: 'web' },
      { 'image.new': 'b', 'image.old': 'a', name: 'web', 'replicas.new': '2', 'replicas.old': '1' },
      { name: 'web', 'updatestate.new': 'updating' },
      { name: 'web', 'updatestate.new': 'completed', 'updatestate.old': 'updating' },
    ])
  })

  test('of nodes that vanish with many others: their tasks stay, and move later', async (t) => {
    const tested = await eventApp(t)
    const { store, env } = tested
    const status = { state: 'ready', message: '', addr: '' } as const
    const untilMs = Date.UTC(2030, 0, 1)
    await store.update((tx) => {
      tx.create('nodes', { id: 'n1', spec: { Name: 'one' }, role: 'worker', status })
    })
    await store.update((tx) => {
      tx.update('nodes', 'n1', { status: { ...status, state: 'down', tasksHeldUntilMs: untilMs } })
    })
    await store.update((tx) => {
      tx.update('nodes', 'n1', { status: { ...status, state: 'down' } })
    })
    const { body } = await ended(tested, `/events?since=1&until=${env.nowMs() / 1000}`)
    const attributes = body
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as ShownEvent).Actor.Attributes)
    assert.deepEqual(attributes, [
      { name: 'one' },
      {
        name: 'one',
        'skep.brake': 'held',
        'skep.brake.until': '2030-01-01T00:00:00Z',
        'state.new': 'down',
        'state.old': 'ready',
      },
      { name: 'one', 'skep.brake': 'released' },
    ])
  })

  test('a manager that comes later is heard, too', async (t) => {
    const env = systemEnv(silentLog)
    const { app, swarm, control } = testApp(env)
    t.after(() => app.close())
    const manager = swarm.state
    swarm.state = { ...manager, state: 'inactive', controlAvailable: false }
    // The app looked when it was made: this one sees a node without a manager first.
    await app.inject('/_ping')
    const answer = app.inject('/events')
    swarm.state = manager
    await app.inject('/_ping')
    await control.createSecret(secret('late'))
    await new Promise((resolve) => setImmediate(resolve))
    await app.close()
    assert.deepEqual(summary((await answer).body), ['secret create late'])
  })
})
