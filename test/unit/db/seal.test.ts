import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sealer, SealError, SEAL_OVERHEAD_BYTES } from '../../../src/db/index.js'

const key = Buffer.alloc(32, 7)
const plain = Buffer.from('a password nobody may read')

test('a sealed payload opens with its key and context only', () => {
  const sealer = Sealer.of(key)
  const sealed = sealer.seal(plain, 'entry/7')
  assert.equal(sealed.byteLength, plain.byteLength + SEAL_OVERHEAD_BYTES)
  assert.ok(!Buffer.from(sealed).includes('password'))
  assert.deepEqual(Buffer.from(sealer.open(sealed, 'entry/7')), plain)
  assert.throws(() => sealer.open(sealed, 'entry/8'), SealError)
  assert.throws(() => Sealer.of(Buffer.alloc(32, 8)).open(sealed, 'entry/7'), SealError)
  assert.throws(() => Sealer.of(key, 2).open(sealed, 'entry/7'), /data key 1, which is unknown/)
})

test('any changed byte is noticed', () => {
  const sealer = Sealer.of(key)
  const sealed = sealer.seal(plain)
  for (let at = 0; at < sealed.byteLength; at++) {
    const changed = Uint8Array.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.throws(() => sealer.open(changed), SealError, `byte ${at}`)
  }
  assert.throws(() => sealer.open(sealed.subarray(0, SEAL_OVERHEAD_BYTES - 1)), SealError)
})

test('an empty payload is sealed like any other; equal payloads look different', () => {
  const sealer = Sealer.of(key)
  assert.equal(sealer.open(sealer.seal(new Uint8Array(0))).byteLength, 0)
  assert.notDeepEqual(sealer.seal(plain), sealer.seal(plain))
})

test('old payloads open while a new key seals', () => {
  const old = Sealer.of(key, 1)
  const rotated = new Sealer(
    new Map([
      [1, key],
      [2, Buffer.alloc(32, 9)],
    ]),
    2,
  )
  assert.deepEqual(Buffer.from(rotated.open(old.seal(plain, 'x'), 'x')), plain)
  assert.equal(rotated.seal(plain)[0], 2)
})

test('wrong keys are refused', () => {
  assert.throws(() => Sealer.of(Buffer.alloc(16)), RangeError)
  assert.throws(() => new Sealer(new Map([[1, key]]), 2), RangeError)
  assert.throws(() => Sealer.of(key, 256), RangeError)
})
