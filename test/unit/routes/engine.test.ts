import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import { SwarmError } from '../../../src/model/errors.js'
import { testApp, type TestApp } from './fake-backend.js'

describe('what the engine answers', () => {
  test('is handed on, with the version that was asked for', async (t) => {
    const { app, engine } = testApp()
    t.after(() => app.close())
    for (const [method, url] of [
      ['GET', '/containers/json?all=1'],
      ['POST', '/containers/create?name=x'],
      ['HEAD', '/containers/c/archive?path=/'],
      ['DELETE', '/images/127.0.0.1:5000/busybox:latest'],
      ['GET', '/images/a/b/json'],
      ['POST', '/build?t=x'],
      ['GET', '/system/df'],
      ['GET', '/distribution/a/b:c/json'],
      ['GET', '/plugins'],
      ['DELETE', '/volumes/v?force=1'],
    ] as const) {
      const answer = await app.inject({
        method,
        url: `/v1.41${url}`,
        ...(method === 'POST' && { headers: { 'content-type': 'application/x-tar' }, payload: 'not JSON' }),
      })
      assert.equal(answer.statusCode, 200, url)
      assert.equal(answer.headers['x-engine'], 'fake')
      assert.equal(answer.headers['api-version'], undefined)
      const body = method === 'POST' ? 'not JSON' : ''
      assert.deepEqual(engine.passed.at(-1), { method, path: url, apiVersion: '1.41', body })
    }
  })

  test('stands in version and info, beside what Skep knows', async (t) => {
    const { app, engine } = testApp()
    t.after(() => app.close())
    engine.answer = ({ path }) =>
      path === '/version'
        ? {
            status: 200,
            json: {
              Version: '20.10',
              ApiVersion: '1.41',
              Os: 'linux',
              Components: [
                { Name: 'Engine', Version: '20.10', Details: { ApiVersion: '1.41', Os: 'linux' } },
              ],
            },
          }
        : {
            status: 200,
            json: { ID: 'e', NCPU: 2, Name: 'other', Labels: ['a=b'], Swarm: { LocalNodeState: 'inactive' } },
          }
    const version = (await app.inject('/version')).json<Record<string, unknown>>()
    assert.equal(version.ApiVersion, '1.56')
    assert.equal(version.MinAPIVersion, '1.24')
    assert.equal(version.Version, '20.10')
    assert.deepEqual(version.Components, [
      {
        Name: 'Engine',
        Version: '20.10',
        Details: { ApiVersion: '1.56', Os: 'linux', MinAPIVersion: '1.24' },
      },
      { Name: 'Skep', Version: '0.1.0', Details: { GitCommit: 'abc' } },
    ])
    const info = (await app.inject('/info')).json<Record<string, unknown>>()
    assert.equal(info.NCPU, 2)
    assert.equal(info.Name, 'node-b')
    assert.deepEqual(info.Labels, ['a=b'])
    assert.equal((info.Swarm as { LocalNodeState: string }).LocalNodeState, 'active')
  })

  test('may be nothing: version and info answer all the same', async (t) => {
    const { app, engine } = testApp()
    t.after(() => app.close())
    engine.call = () => Promise.reject(new SwarmError('Unavailable', 'gone'))
    assert.equal((await app.inject('/version')).statusCode, 200)
    const info = (await app.inject('/info')).json<{ Warnings: string[]; Name: string }>()
    assert.deepEqual(info.Warnings, ['WARNING: the container engine cannot be reached: fake engine'])
    assert.equal(info.Name, 'node-b')
  })
})

interface Served extends TestApp {
  /** Where it listens. */
  readonly path: string
  /** Sends bytes on a new connection; resolves with all that came until the server ends it, or `until`. */
  readonly send: (
    data: string,
    options?: { readonly halfClose?: boolean; readonly until?: RegExp },
  ) => Promise<string>
}

async function served(t: TestContext, bodyLimitBytes?: number): Promise<Served> {
  const tested = testApp(systemEnv(silentLog), bodyLimitBytes)
  await tested.app.ready()
  const folder = mkdtempSync(join(tmpdir(), 'skep-routes-'))
  const path = join(folder, 'api.sock')
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    tested.app.server.emit('connection', socket),
  )
  server.listen(path)
  await once(server, 'listening')
  t.after(async () => {
    await tested.app.close()
    server.close()
    rmSync(folder, { recursive: true })
  })
  const send: Served['send'] = (data, { halfClose = false, until } = {}) =>
    new Promise((resolve, reject) => {
      const socket = connect({ path, allowHalfOpen: true })
      let received = ''
      const timer = setTimeout(() => {
        socket.destroy()
        reject(new Error(`no end of the answer: ${received}`))
      }, 5000)
      const done = () => {
        clearTimeout(timer)
        socket.destroy()
        resolve(received)
      }
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString()
        if (until?.test(received) === true) done()
      })
      socket.once('end', done)
      socket.once('error', done)
      socket.write(data)
      if (halfClose) socket.end()
    })
  return { ...tested, path, send }
}

const create = (headers: string, body: string) =>
  `POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`

describe('clients that behave oddly', () => {
  test('closing their side first, they still get the answer', async (t) => {
    const { send } = await served(t)
    assert.match(
      await send('GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n', { halfClose: true }),
      /^HTTP\/1\.1 200 OK[^]*\r\n\r\nOK$/,
    )
  })

  test('ending with the answer, a stream of theirs ends', async (t) => {
    const { send } = await served(t)
    assert.match(
      await send('GET /events HTTP/1.1\r\nHost: x\r\n\r\n', { halfClose: true }),
      /application\/jsonl[^]*\r\n0\r\n/,
    )
  })

  test('bodies that are no good', async (t) => {
    const { send } = await served(t, 100_000)
    const tooLarge =
      /^HTTP\/1\.1 413 [^]*\{"message":"request body is too large: the limit is 100000 bytes"\}\n$/
    assert.match(await send(create('Content-Length: 99999999', '{')), tooLarge)
    assert.match(await send(create('Content-Length: 200000', `"${'x'.repeat(199_998)}"`)), tooLarge)
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    assert.match(await send(create('Transfer-Encoding: chunked', `${chunk.repeat(4)}0\r\n\r\n`)), tooLarge)
    assert.match(await send(create('Transfer-Encoding: chunked', chunk.repeat(40))), tooLarge)
    assert.match(await send(create('Transfer-Encoding: chunked', 'zz\r\n')), /^HTTP\/1\.1 400 /)
    assert.match(await send(create('Content-Length: 100', '{"a"'), { halfClose: true }), /^HTTP\/1\.1 400 /)
    assert.match(await send('\u0016\u0003\u0001garbage\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\n/)
    assert.match(
      await send('GET /nodes/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 400 [^]*"message"/,
    )
    assert.match(await send('GET /_ping HTTP/1.0\r\n\r\n'), /OK$/)
  })

  test('hanging up at once, in the middle and after', async (t) => {
    const { send, path, store } = await served(t)
    const requests = [
      'GET /events HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n',
      create('Content-Length: 100', '{"a"'),
      'GET /nod',
      'POST /containers/c/attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    ]
    for (const request of requests) {
      for (const turns of [0, 1, 10]) {
        const socket = connect(path)
        socket.on('error', () => undefined)
        socket.write(request)
        await once(socket, 'connect')
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
        socket.destroy()
      }
    }
    assert.match(await send('GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /OK$/)
    assert.equal(store.view.services.size, 0)
  })

  test('offering another protocol, they are answered in this one', async (t) => {
    const { send } = await served(t)
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'
    assert.match(
      await send(`GET /nodes HTTP/1.1\r\nHost: x\r\n${offer}\r\n`, { until: /\[\]\n$/ }),
      /^HTTP\/1\.1 200 OK\r\n/,
    )
    const body = '{"Name":5}'
    const twice = `${create(`Content-Length: ${body.length}\r\n${offer.trimEnd()}`, body)}GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
    assert.match(await send(twice), /ServiceSpec\.Name of type string[^]*\r\n\r\nOK$/)
  })
})

describe('connections that are taken over', () => {
  test('go to the engine, with half-close', async (t) => {
    const { send, engine } = await served(t)
    for (const path of ['/containers/c/attach?stream=1', '/exec/e/start', '/session', '/grpc']) {
      const request = `POST /v1.41${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}hello`
      assert.equal(
        await send(request, { halfClose: true }),
        'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n{}hello',
      )
      assert.deepEqual(engine.upgraded.at(-1), { path, apiVersion: '1.41' })
    }
  })

  test('but not in a version that there is not', async (t) => {
    const { send, engine } = await served(t)
    const request = 'POST /v1.99/session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
    assert.match(await send(request, { until: /too new/ }), /^HTTP\/1\.1 400 /)
    assert.deepEqual(engine.upgraded, [])
  })
})
