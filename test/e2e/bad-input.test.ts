import assert from 'node:assert/strict'
import { createConnection } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Skepd } from '../lib/skepd.js'

const good = {
  Name: 'good',
  TaskTemplate: { ContainerSpec: { Image: 'busybox' } },
  Mode: { Replicated: { Replicas: 0 } },
}
const withTask = (task: object) => ({
  ...good,
  Name: 'bad',
  TaskTemplate: { ContainerSpec: { Image: 'busybox' }, ...task },
})

describe('bad input: a clear answer, nothing changed, the daemon alive', () => {
  let skepd: Skepd
  let state: string

  const snapshot = async () => {
    const lists = ['/services', '/secrets', '/configs', '/networks', '/swarm'].map((path) =>
      skepd.request('GET', path),
    )
    return (await Promise.all(lists)).map(({ text }) => text).join('\n')
  }
  /** Sends a request that must be refused with `status` and a message, and checks that nothing came of it. */
  const refused = async (status: number, message: RegExp, method: string, path: string, body?: unknown) => {
    const reply = await skepd.request(
      method,
      path,
      body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } },
    )
    assert.equal(reply.status, status, reply.text)
    assert.match((JSON.parse(reply.text) as { message: string }).message, message)
    assert.equal(await snapshot(), state)
  }
  /** Writes raw bytes and gives back what comes until the other side ends. */
  const raw = (bytes: string, options: { readonly end: boolean }) =>
    new Promise<string>((resolve) => {
      const socket = createConnection({ path: skepd.socketPath, allowHalfOpen: true })
      let answer = ''
      socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
      socket.once('close', () => resolve(answer))
      socket.once('end', () => socket.end())
      socket.on('error', () => resolve(answer))
      socket.write(bytes, () => {
        if (options.end) socket.end()
      })
    })

  before(async () => {
    skepd = await Skepd.start()
    await skepd.request('POST', '/swarm/init', {
      body: { ListenAddr: '127.0.0.1:0', AdvertiseAddr: '127.0.0.1' },
    })
    assert.equal((await skepd.request('POST', '/services/create', { body: good })).status, 201)
    state = await snapshot()
  })
  after(() => skepd.stop())

  test('malformed JSON', async () => {
    await refused(400, /invalid JSON/, 'POST', '/services/create', '{"Name":')
    await refused(400, /invalid JSON/, 'POST', '/services/create', 'nonsense')
    await refused(400, /unexpected content after JSON/, 'POST', '/services/create', '{} {}')
  })

  test('wrong types', async () => {
    await refused(
      400,
      /cannot unmarshal number into Go struct field .*Name of type string/,
      'POST',
      '/services/create',
      { ...good, Name: 5 },
    )
    await refused(
      400,
      /cannot unmarshal/,
      'POST',
      '/services/create',
      withTask({ Placement: { Constraints: 'x' } }),
    )
    await refused(400, /cannot unmarshal/, 'POST', '/secrets/create', { Name: 's', Data: 7 })
    await refused(400, /illegal base64 data/, 'POST', '/secrets/create', { Name: 's', Data: '%%%' })
    await refused(400, /cannot unmarshal/, 'POST', '/services/create', [])
  })

  test('unknown constraint operators', async () => {
    await refused(
      500,
      /constraint expected one operator from ==, !=/,
      'POST',
      '/services/create',
      withTask({ Placement: { Constraints: ['node.id=~x'] } }),
    )
  })

  test('bad names', async () => {
    await refused(400, /name must be valid as a DNS name component/, 'POST', '/services/create', {
      ...good,
      Name: 'a b',
    })
    await refused(400, /name must be 63 characters or fewer/, 'POST', '/services/create', {
      ...good,
      Name: 'a'.repeat(64),
    })
    await refused(400, /invalid name, only 64/, 'POST', '/secrets/create', { Name: '-x-', Data: 'eA==' })
    await refused(409, /service good already exists/, 'POST', '/services/create', {
      ...good,
      Name: 'GOOD'.toLowerCase(),
    })
  })

  test('stale and broken versions', async () => {
    await refused(500, /update out of sequence/, 'POST', '/services/good/update?version=1', good)
    await refused(400, /invalid service version ''/, 'POST', '/services/good/update', good)
    await refused(400, /invalid service version 'x'/, 'POST', '/services/good/update?version=x', good)
    await refused(500, /update out of sequence/, 'POST', '/swarm/update?version=1', { Name: 'default' })
  })

  test('missing references', async () => {
    const file = { Name: 'f', UID: '0', GID: '0', Mode: 292 }
    const secrets = [{ SecretID: 'nosuch', SecretName: 'nosuch', File: file }]
    await refused(
      400,
      /secret not found: nosuch/,
      'POST',
      '/services/create',
      withTask({ ContainerSpec: { Image: 'busybox', Secrets: secrets } }),
    )
    await refused(
      500,
      /network nosuch not found/,
      'POST',
      '/services/create',
      withTask({ Networks: [{ Target: 'nosuch' }] }),
    )
    await refused(404, /service nosuch not found/, 'POST', '/services/nosuch/update?version=1', good)
    await refused(404, /service nosuch not found/, 'DELETE', '/services/nosuch')
  })

  test('unknown and malformed labels of our own', async () => {
    await refused(400, /skep\.zz/, 'POST', '/services/create', {
      ...good,
      Name: 'bad',
      Labels: { 'skep.zz': '1' },
    })
  })

  test('unknown paths, filters and content types', async () => {
    await refused(404, /page not found/, 'GET', '/v1.41/nosuch')
    await refused(404, /page not found/, 'PUT', '/services/create')
    await refused(
      400,
      /invalid filter 'zz'/,
      'GET',
      `/services?filters=${encodeURIComponent('{"zz":{"a":true}}')}`,
    )
    await refused(400, /invalid filter/, 'GET', '/services?filters=nonsense')
    const reply = await skepd.request('POST', '/services/create', {
      body: '{}',
      headers: { 'Content-Type': 'text/plain' },
    })
    assert.equal(reply.status, 400)
    assert.match(reply.text, /unsupported Content-Type header/)
  })

  test('a body without end is cut off with a word', async () => {
    const huge = JSON.stringify({ ...good, Name: 'huge', Labels: { x: 'y'.repeat(40 * 1024 * 1024) } })
    const reply = await skepd.request('POST', '/services/create', {
      body: huge,
      headers: { 'Content-Type': 'application/json' },
    })
    assert.ok(reply.status === 400 || reply.status === 413, String(reply.status))
    assert.match((JSON.parse(reply.text) as { message: string }).message, /too large/)
    assert.equal(await snapshot(), state)
  })

  test('half-closed and broken connections', async () => {
    assert.match(
      await raw('GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', { end: true }),
      /^HTTP\/1\.1 200 OK[\s\S]*OK$/,
    )
    assert.match(
      await raw(
        'POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"Na',
        { end: true },
      ),
      /^(HTTP\/1\.1 400|$)/,
    )
    assert.match(await raw('nonsense\r\n\r\n', { end: false }), /^HTTP\/1\.1 400/)
    await raw(
      'POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      { end: true },
    )
    assert.equal(await snapshot(), state)
    assert.equal((await skepd.request('GET', '/_ping')).text, 'OK')
  })
})
