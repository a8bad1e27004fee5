import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clampApiVersion, compareApiVersions } from '../../../src/engine/docker/api-version.js'
import { readFrames, readLines } from '../../../src/engine/docker/multiplexed.js'
import { seededRandom } from '../../lib/simulated-env.js'

/** Cuts bytes into chunks of random sizes, as a socket does. */
async function* chunked(bytes: Buffer, random: () => number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const size = 1 + Math.floor(random() * 20)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function frame(stream: number, data: string): Buffer {
  const head = Buffer.alloc(8)
  head[0] = stream
  head.writeUInt32BE(Buffer.byteLength(data), 4)
  return Buffer.concat([head, Buffer.from(data)])
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('streams of the engine', () => {
  it('are taken apart into frames however they are cut', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed)
      const wanted = Array.from({ length: 20 }, (_, index) => ({
        stream: 1 + (index % 2),
        data: 'x'.repeat(Math.floor(random() * 60)),
      }))
      const bytes = Buffer.concat([
        ...wanted.map(({ stream, data }) => frame(stream, data)),
        Buffer.from([1, 0, 0]),
      ])
      const read = (await collect(readFrames(chunked(bytes, random)))).map(({ stream, data }) => ({
        stream,
        data: data.toString(),
      }))
      assert.deepEqual(read, wanted, `seed ${seed}`)
    }
  })

  it('are taken apart into lines however they are cut', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed)
      const text = 'one\n\nthree three three three three\nlast without newline'
      const lines = (await collect(readLines(chunked(Buffer.from(text), random)))).map(String)
      assert.deepEqual(
        lines,
        ['one\n', '\n', 'three three three three three\n', 'last without newline'],
        `seed ${seed}`,
      )
    }
  })
})

describe('API versions', () => {
  it('compare by number', () => {
    assert.ok(compareApiVersions('1.9', '1.10') < 0)
    assert.ok(compareApiVersions('9', '1.41') > 0)
    assert.ok(compareApiVersions('1.41.5', '1.41') > 0)
    assert.equal(compareApiVersions('1.41', '1.41'), 0)
  })

  it('are clamped to what the engine speaks', () => {
    assert.equal(clampApiVersion('1.56', '1.24', '1.41'), '1.41')
    assert.equal(clampApiVersion('1.9', '1.24', '1.41'), '1.24')
    assert.equal(clampApiVersion('1.30', '1.24', '1.41'), '1.30')
    assert.equal(clampApiVersion('', '1.24', '1.41'), '1.41')
  })
})
