import { tableNames, type Meta, type Task } from '../model/objects.js'
import type { TaskSpec } from '../model/spec/index.js'
import type { View } from './schema.js'
import { SpecSharing, type StoredObject } from './spec-sharing.js'

/**
 * The store's content as a stream for members that the log does not reach back for: lines of JSON. The first
 * one names the format, then comes one per object, at the end their number. A task's spec is a line of its own
 * and the tasks refer to it by number, so that 1000 tasks carry one spec.
 */
type Line =
  | { readonly format: string }
  | { readonly spec: TaskSpec }
  | { readonly table: StoredObject['table']; readonly object: Meta }
  /** A task whose `spec` is the number of a spec line, counted from 0. */
  | { readonly task: Omit<Task, 'spec'> & { readonly spec: number } }
  | { readonly end: number }

const format = 'skep objects 1'
const pieceBytes = 64 * 1024

/** The objects as they are now; what is written later does not show. Gives way to other work between pieces. */
export function encodeSnapshot(view: View): AsyncIterable<Uint8Array> {
  const tables = tableNames.map((table) => ({ table, objects: view[table].list() }))
  return pieces(lines(tables))
}

function* lines(
  tables: readonly { readonly table: StoredObject['table']; readonly objects: readonly Meta[] }[],
): Generator<Line> {
  yield { format }
  const specs = new Map<TaskSpec, number>()
  let count = 0
  for (const { table, objects } of tables) {
    for (const object of objects) {
      count++
      if (table !== 'tasks') {
        yield { table, object }
        continue
      }
      const task = object as Task
      let number = specs.get(task.spec)
      if (number === undefined) {
        specs.set(task.spec, (number = specs.size))
        yield { spec: task.spec }
      }
      yield { task: { ...task, spec: number } }
    }
  }
  yield { end: count }
}

async function* pieces(all: Iterable<Line>): AsyncGenerator<Uint8Array> {
  let texts: string[] = []
  let length = 0
  for (const line of all) {
    const text = `${JSON.stringify(line)}\n`
    texts.push(text)
    length += text.length
    if (length < pieceBytes) continue
    yield Buffer.from(texts.join(''))
    texts = []
    length = 0
    await new Promise((resolve) => setImmediate(resolve))
  }
  yield Buffer.from(texts.join(''))
}

/**
 * The objects of a snapshot, as they arrive; pieces may be cut anywhere.
 * @throws {Error} when it is of another format, or is not whole.
 */
export async function* decodeSnapshot(content: AsyncIterable<Uint8Array>): AsyncGenerator<StoredObject> {
  const specs: TaskSpec[] = []
  const sharing = new SpecSharing()
  let count = 0
  let isOpen = false
  let end: number | undefined
  for await (const text of splitLines(content)) {
    const line = JSON.parse(text) as Line
    if (end !== undefined) throw new Error('the snapshot goes on behind its end')
    if ('format' in line) {
      if (line.format !== format) throw new Error(`the snapshot is of another format: ${line.format}`)
      isOpen = true
    } else if (!isOpen) throw new Error('the snapshot has no beginning')
    else if ('spec' in line) specs.push(sharing.share(line.spec))
    else if ('end' in line) end = line.end
    else {
      count++
      const stored = 'task' in line ? taskOf(line.task, specs) : (line as StoredObject)
      if (stored.table === 'services') sharing.learn(stored.object)
      yield stored
    }
  }
  if (end !== count) throw new Error(`the snapshot is cut off after ${count} objects`)
}

function taskOf(
  task: Omit<Task, 'spec'> & { readonly spec: number },
  specs: readonly TaskSpec[],
): StoredObject {
  const spec = specs[task.spec]
  if (spec === undefined) throw new Error(`the snapshot lacks the spec of task ${task.id}`)
  return { table: 'tasks', object: { ...task, spec } }
}

async function* splitLines(content: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer[] = []
  for await (const piece of content) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    let start = 0
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, start)) {
      yield Buffer.concat([...rest, bytes.subarray(start, at)]).toString()
      rest = []
      start = at + 1
    }
    if (start < bytes.length) rest.push(Buffer.from(bytes.subarray(start)))
  }
  if (rest.length > 0) throw new Error('the snapshot ends within a line')
}
