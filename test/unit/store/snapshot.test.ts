import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeSnapshot, encodeSnapshot } from '../../../src/store/snapshot.js'
import type { StoredObject } from '../../../src/store/spec-sharing.js'
import { stateHash } from '../../../src/store/state-hash.js'
import { aNode, aService, aTask, newObject } from '../../lib/builders.js'
import { memoryStore } from '../../lib/memory-log.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

async function filled() {
  const { store } = memoryStore(new SimulatedEnv())
  await store.update((tx) => {
    const TaskTemplate = { ContainerSpec: { Image: 'büsybox\n' } }
    tx.create('services', newObject(aService({ id: 's', spec: { Name: 's', TaskTemplate } })))
    tx.create('nodes', newObject(aNode({ id: 'n' })))
    for (let at = 0; at < 500; at++)
      tx.create('tasks', newObject(aTask({ id: `t${at}`, serviceId: 's', spec: TaskTemplate })))
    tx.create('tasks', newObject(aTask({ id: 'other', spec: { ForceUpdate: 1 } })))
  })
  return store
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function* cut(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

const restored = (objects: readonly StoredObject[]) => {
  const { store } = memoryStore(new SimulatedEnv())
  store.restore(1, objects)
  return store
}

test('a snapshot comes back the same, wherever the stream is cut', async () => {
  const store = await filled()
  const bytes = Buffer.concat(await collect(encodeSnapshot(store.view)))
  for (const pieceBytes of [1, 7, 4096, bytes.length]) {
    const objects = await collect(decodeSnapshot(cut(bytes, pieceBytes)))
    assert.equal(stateHash(restored(objects).view), stateHash(store.view), `pieces of ${pieceBytes}`)
  }
})

test('tasks of one service carry their spec once, and share it afterwards', async () => {
  const store = await filled()
  const text = Buffer.concat(await collect(encodeSnapshot(store.view))).toString()
  assert.equal(text.match(/ContainerSpec/g)?.length, 2, 'once for the service, once for all tasks')
  const { view } = restored(await collect(decodeSnapshot(cut(Buffer.from(text), 1000))))
  assert.equal(view.tasks.get('t1')?.spec, view.tasks.get('t2')?.spec)
})

test('what is written later does not show', async () => {
  const store = await filled()
  const before = stateHash(store.view)
  const snapshot = encodeSnapshot(store.view)
  await store.update((tx) => {
    tx.remove('tasks', 'other')
    tx.update('services', 's', { specVersion: 9 })
  })
  const objects = await collect(decodeSnapshot(snapshot))
  assert.equal(stateHash(restored(objects).view), before)
})

test('a stream that is not whole is refused', async () => {
  const bytes = Buffer.concat(await collect(encodeSnapshot((await filled()).view)))
  const lines = bytes.toString().split('\n')
  const broken = {
    'cut within a line': bytes.subarray(0, bytes.length - 20),
    'cut between lines': Buffer.from(`${lines.slice(0, 100).join('\n')}\n`),
    'one line missing': Buffer.from(lines.toSpliced(2, 1).join('\n')),
    'no beginning': Buffer.from(lines.slice(1).join('\n')),
    'another format': Buffer.from(['{"format":"skep objects 99"}', ...lines.slice(1)].join('\n')),
    'goes on': Buffer.from(`${bytes.toString()}{"end":502}\n`),
    empty: Buffer.alloc(0),
  }
  for (const [what, content] of Object.entries(broken))
    await assert.rejects(collect(decodeSnapshot(cut(content, 999))), /snapshot/, what)
})
