import assert from 'node:assert/strict'
import { test } from 'node:test'
import { History } from '../../lab/history.js'

/** One register, and the violations after `work`. */
function violations(
  work: (history: History, register: History['registers'][number]) => void,
): readonly string[] {
  const history = new History()
  history.addRegister('r')
  const [register] = history.registers
  assert.ok(register)
  work(history, register)
  return history.violations
}

test('what one machine would answer is no violation', () => {
  const found = violations((history, register) => {
    const before = { version: 10, count: 0 }
    register.read('a', register.floor, before)
    const floor = register.floor
    register.acknowledged('a', before)
    // This read was sent before the update was acknowledged.
    register.read('b', floor, before)
    register.read('b', register.floor, { version: 14, count: 1 })
    register.unanswered()
    register.settle('c', { version: 15, count: 2 })
    history.created('x')
    history.listed('a', history.createdCount, [{ id: '1', name: 'x', version: 3 }])
    history.listed('b', history.createdCount, [{ id: '1', name: 'x', version: 3 }])
  })
  assert.deepEqual(found, [])
})

test('a read after an acknowledged update that does not show it is stale', () => {
  const found = violations((_, register) => {
    register.acknowledged('a', { version: 10, count: 0 })
    register.read('b', register.floor, { version: 10, count: 0 })
  })
  assert.deepEqual(found, ['b: register r shows 0 in version 10, after 1 in version 11 was known'])
})

test('a read that shows less than an earlier one is stale', () => {
  const found = violations((_, register) => {
    register.read('a', register.floor, { version: 12, count: 2 })
    register.read('b', register.floor, { version: 11, count: 1 })
  })
  assert.equal(found.length, 1)
})

test('two numbers in one version are two histories', () => {
  const found = violations((_, register) => {
    const { floor } = register
    register.read('a', floor, { version: 12, count: 2 })
    register.read('b', floor, { version: 12, count: 3 })
  })
  assert.deepEqual(found, ['b: register r shows 3 in version 12, and somewhere else 2'])
})

test('two updates from one version', () => {
  const found = violations((_, register) => {
    register.acknowledged('a', { version: 10, count: 0 })
    register.acknowledged('b', { version: 10, count: 0 })
  })
  assert.deepEqual(found, ['b: register r was updated twice from version 10'])
})

test('an update that was lost, and one that was done though it was refused', () => {
  for (const count of [1, 4]) {
    const found = violations((_, register) => {
      register.acknowledged('a', { version: 10, count: 0 })
      register.acknowledged('a', { version: 12, count: 1 })
      register.unanswered()
      register.settle('c', { version: 20, count })
    })
    assert.match(
      found.at(-1) ?? '',
      new RegExp(`shows ${count}, but 2 updates were acknowledged and 1 are open$`),
    )
  }
})

test('a creation that was lost, and a version that went back', () => {
  const found = violations((history) => {
    history.created('x')
    history.listed('a', 1, [{ id: '2', name: 'y', version: 5 }])
    history.listed('b', 0, [{ id: '2', name: 'y', version: 4 }])
  })
  assert.deepEqual(found, ['a: x was acknowledged and is not there', 'b: y went back from version 5 to 4'])
})
