import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { webSocketConnection, type Connection } from '../../../src/wire/index.js'

async function pair(context: TestContext) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[WebSocket]>
  const nearSocket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await once(nearSocket, 'open')
  const [farSocket] = await accepted
  context.after(() => {
    nearSocket.terminate()
    server.close()
  })
  return {
    near: webSocketConnection(nearSocket),
    far: webSocketConnection(farSocket),
    nearSocket,
  }
}

function closed(connection: Connection): Promise<{ code: number; reason: string }> {
  return new Promise((resolve) => connection.onClose((code, reason) => resolve({ code, reason })))
}

function received(connection: Connection, count: number): Promise<(string | Buffer)[]> {
  return new Promise((resolve) => {
    const all: (string | Buffer)[] = []
    connection.onMessage((data) => {
      if (all.push(data) === count) resolve(all)
    })
  })
}

test('text and binary messages arrive as they were sent, also before anybody listens', async (context) => {
  const { near, far } = await pair(context)
  far.send('early')
  far.send(Buffer.from([1, 2, 255]))
  const answer = received(far, 1)
  near.send('ping')
  assert.deepEqual(await answer, ['ping'])
  assert.deepEqual(await received(near, 2), ['early', Buffer.from([1, 2, 255])])
})

test('the other side is told why a connection was closed', async (context) => {
  const { near, far } = await pair(context)
  const end = closed(far)
  near.close(4410, 'x'.repeat(300))
  near.close(4410, 'again')
  assert.deepEqual(await end, { code: 4410, reason: 'x'.repeat(123) })
  near.send('too late')
  assert.equal((await closed(near)).code, 4410)
  assert.equal((await closed(near)).code, 4410, 'whoever asks later is told too')
})

test('a broken connection closes', async (context) => {
  const { far, nearSocket } = await pair(context)
  const end = closed(far)
  nearSocket.terminate()
  assert.equal((await end).code, 1006)
})
