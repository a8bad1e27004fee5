import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Table } from '../../../src/store/table.js'
import { seededRandom } from '../../lib/simulated-env.js'

interface Thing {
  readonly id: string
  readonly version: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly colours: readonly string[]
}

const thing = (id: string, version = 1, colours: readonly string[] = []): Thing => ({
  id,
  version,
  createdAtMs: 0,
  updatedAtMs: 0,
  colours,
})
const things = () => new Table<Thing, 'colour'>({ colour: ({ colours }) => colours })
const ids = (list: readonly Thing[]) => list.map(({ id }) => id)

test('lists are sorted by ID, whatever order objects came in', () => {
  const table = things()
  for (const id of ['c', 'a', 'b']) table.set(id, thing(id))
  assert.deepEqual(ids(table.list()), ['a', 'b', 'c'])
  assert.equal(table.size, 3)
})

test('a list that was given away does not change', () => {
  const table = things()
  table.set('a', thing('a'))
  const before = table.list()
  table.set('b', thing('b'))
  table.set('a', thing('a', 2))
  assert.deepEqual(before, [thing('a')])
  assert.deepEqual(table.list(), [thing('a', 2), thing('b')])
})

test('an unchanged table gives the same list again', () => {
  const table = things()
  table.set('a', thing('a'))
  assert.equal(table.list(), table.list())
})

test('all objects in any order, whatever was asked and changed before', () => {
  const table = things()
  for (const id of ['b', 'a']) table.set(id, thing(id))
  const inAnyOrder = () => ids(table.unsorted()).sort()
  assert.deepEqual(inAnyOrder(), ['a', 'b'])
  table.list()
  const before = table.unsorted()
  table.set('c', thing('c'))
  table.set('a', undefined)
  assert.deepEqual(inAnyOrder(), ['b', 'c'])
  assert.deepEqual(ids(before).sort(), ['a', 'b'])
})

test('by ID prefix', () => {
  const table = things()
  for (const id of ['b', 'ab', 'abc', 'abd', 'ac']) table.set(id, thing(id))
  assert.deepEqual(ids(table.byIdPrefix('ab')), ['ab', 'abc', 'abd'])
  assert.deepEqual(ids(table.byIdPrefix('')), ['ab', 'abc', 'abd', 'ac', 'b'])
  assert.deepEqual(ids(table.byIdPrefix('x')), [])
})

test('an object is found under each of its keys, and not under those it has lost', () => {
  const table = things()
  table.set('a', thing('a', 1, ['red', 'blue']))
  table.set('b', thing('b', 1, ['blue']))
  assert.deepEqual(ids(table.by('colour', 'blue')), ['a', 'b'])
  table.set('a', thing('a', 2, ['red', 'green']))
  assert.deepEqual(ids(table.by('colour', 'blue')), ['b'])
  assert.deepEqual(table.by('colour', 'red'), [thing('a', 2, ['red', 'green'])])
  table.set('b', undefined)
  assert.deepEqual(ids(table.by('colour', 'blue')), [])
  table.clear()
  assert.deepEqual(ids(table.by('colour', 'green')), [])
  assert.equal(table.size, 0)
})

test('random changes and questions: always what a plain map would say', () => {
  const seed = 20261121
  const random = seededRandom(seed)
  const below = (bound: number) => Math.floor(random() * bound)
  const table = things()
  const plain = new Map<string, Thing>()
  for (let step = 0; step < 5000; step++) {
    const id = String(below(300))
    const object = below(3) === 0 ? undefined : thing(id, step, ['red', 'blue'].slice(below(3)))
    table.set(id, object)
    if (object === undefined) plain.delete(id)
    else plain.set(id, object)
    if (below(10) > 0) continue
    const expected = [...plain.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    assert.deepEqual(table.list(), expected, `seed ${seed}, step ${step}`)
    assert.deepEqual(
      table.by('colour', 'blue'),
      expected.filter(({ colours }) => colours.includes('blue')),
      `seed ${seed}, step ${step}`,
    )
  }
})
