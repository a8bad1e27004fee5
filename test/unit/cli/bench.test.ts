import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { HttpConnection } from '../../../src/cli/bench/http-connection.js'

/** A connection whose other side answers with the given pieces. */
function answering(...pieces: readonly string[]) {
  const requests: string[] = []
  const stream: Duplex = new Duplex({
    read: () => undefined,
    write: (data: Buffer, _encoding, done) => {
      requests.push(data.toString())
      for (const piece of pieces) stream.push(Buffer.from(piece))
      done()
    },
  })
  return { connection: new HttpConnection(stream), requests, stream }
}

const withLength = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1,2,3]'
const chunked =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n1\r\n2\r\n3\r\n,3]\r\n0\r\n\r\n'

for (const [name, answer] of Object.entries({ 'with its length': withLength, 'in chunks': chunked })) {
  test(`an answer ${name}, cut anywhere, is read whole and leaves nothing for the next`, async () => {
    for (let at = 1; at < answer.length; at++) {
      const { connection, requests } = answering(answer.slice(0, at), answer.slice(at))
      for (const keepBody of [true, false, true]) {
        const { status, bodyBytes, body } = await connection.call('GET / HTTP/1.1\r\n\r\n', keepBody)
        assert.deepEqual([status, bodyBytes, body.toString()], [200, 7, keepBody ? '[1,2,3]' : ''])
      }
      assert.equal(requests.length, 3)
    }
  })
}

test('the text of a refusal is kept, also unasked', async () => {
  const { connection } = answering('HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\n\r\ntaken')
  const { status, body } = await connection.call('POST / HTTP/1.1\r\n\r\n', false)
  assert.deepEqual([status, body.toString()], [409, 'taken'])
})

test('a connection that closes, or answers what is no HTTP, fails the call', async () => {
  const { connection, stream } = answering('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nta')
  const call = connection.call('GET / HTTP/1.1\r\n\r\n', false)
  stream.destroy()
  await assert.rejects(call, /closed the connection/)
  assert.equal(connection.isOpen, false)
  await assert.rejects(
    answering('nonsense\r\n\r\n').connection.call('GET /\r\n\r\n', false),
    /without a length/,
  )
})
