import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MemoryLog,
  NoLeaderError,
  noTransport,
  NotLeaderError,
  RaftDriver,
  type LogBatch,
  type LogStorage,
  type RaftDriverOptions,
  type SnapshotMetadata,
  type StateMachine,
} from '../../../src/raft/index.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

class ListMachine implements StateMachine {
  readonly appliedIndex: number
  readonly applied: { index: number; term: number; data: Uint8Array }[] = []
  installed: SnapshotMetadata | undefined
  onApply: () => void = () => undefined

  constructor(appliedIndex = 0) {
    this.appliedIndex = appliedIndex
  }

  apply(index: number, term: number, data: Uint8Array): void {
    this.onApply()
    this.applied.push({ index, term, data })
  }

  async *snapshot(): AsyncGenerator<Uint8Array> {
    yield* []
  }

  restore(snapshot: SnapshotMetadata) {
    const install = () => {
      this.installed = snapshot
      return Promise.resolve()
    }
    return Promise.resolve({ install, discard: () => undefined })
  }

  texts(): string[] {
    return this.applied.map(({ data }) => Buffer.from(data).toString())
  }
}

/** A log whose writes wait until they are let through. */
class SlowLog extends MemoryLog {
  readonly batches: LogBatch[] = []
  hold = false
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = []

  override async save(batch: LogBatch): Promise<void> {
    this.batches.push(batch)
    if (this.hold) await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    await super.save(batch)
  }

  release(): void {
    this.hold = false
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  fail(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('disk is full'))
  }
}

interface Started {
  readonly env: SimulatedEnv
  readonly driver: RaftDriver
  readonly machine: ListMachine
  readonly fatal: Error[]
}

async function start(
  storage: LogStorage,
  options: Partial<RaftDriverOptions> & { machine?: ListMachine; joins?: boolean } = {},
): Promise<Started> {
  const env = new SimulatedEnv(5)
  const machine = options.machine ?? new ListMachine()
  const fatal: Error[] = []
  const driver = await RaftDriver.start(env, {
    id: 'a',
    storage,
    stateMachine: machine,
    transport: noTransport,
    ...(options.joins === true ? {} : { bootstrap: { context: '127.0.0.1:2377' } }),
    onFatal: (error) => void fatal.push(error),
    ...options,
  })
  return { env, driver, machine, fatal }
}

async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await settle()
}

test('a first member leads within a few turns and without any timer', async () => {
  const { driver } = await start(new MemoryLog())
  assert.throws(() => driver.propose(Buffer.from('too early')), NotLeaderError)
  await turns()
  assert.deepEqual(driver.leadership, { isLeader: true, leaderId: 'a', term: 2 })
  assert.deepEqual(driver.status().members, [
    { id: 'a', kind: 'voter', isWitness: false, context: '127.0.0.1:2377', matchIndex: 2, active: true },
  ])
})

test('apply gets the very object that was proposed, at the index that propose returned', async () => {
  const { driver, machine } = await start(new MemoryLog())
  await turns()
  const proposed = ['x', 'y', 'z'].map((text) => Buffer.from(text))
  const indexes = proposed.map((data) => driver.propose(data))
  assert.deepEqual(machine.applied, [])
  await turns()
  assert.deepEqual(
    machine.applied.map(({ index }) => index),
    indexes,
  )
  for (const [i, { data }] of machine.applied.entries()) assert.equal(data, proposed[i])
})

test('proposals of one turn are one write; those made while the disk works are the next one', async () => {
  const log = new SlowLog()
  const { driver, machine } = await start(log)
  await turns()
  log.batches.length = 0
  log.hold = true
  for (let i = 0; i < 64; i++) driver.propose(Buffer.from(`${i}`))
  await turns()
  for (let i = 64; i < 128; i++) driver.propose(Buffer.from(`${i}`))
  await turns()
  assert.deepEqual(
    log.batches.map((batch) => batch.entries.length),
    [64, 64],
  )
  assert.equal(machine.applied.length, 0, 'nothing is applied before it is on disk')
  log.release()
  await turns()
  assert.equal(machine.applied.length, 128)
})

test('a failed write stops the member; what was not written is not acknowledged', async () => {
  const log = new SlowLog()
  const { driver, machine, fatal } = await start(log)
  await turns()
  const seen: boolean[] = []
  driver.onLeadershipChange(({ isLeader }) => seen.push(isLeader))
  log.hold = true
  driver.propose(Buffer.from('x'))
  await turns()
  const read = driver.readIndex()
  log.fail()
  await read.catch(() => undefined)
  await turns()
  assert.match(fatal[0]?.message ?? '', /cannot write the raft log: disk is full/)
  assert.equal(fatal.length, 1)
  assert.deepEqual(machine.applied, [])
  assert.deepEqual(seen, [false])
  assert.throws(() => driver.propose(Buffer.from('y')), NotLeaderError)
  await assert.rejects(driver.readIndex(), /stopped/)
})

test('an apply that throws stops the member', async () => {
  const machine = new ListMachine()
  const { driver, fatal } = await start(new MemoryLog(), { machine })
  await turns()
  machine.onApply = () => {
    throw new Error('cannot be')
  }
  const index = driver.propose(Buffer.from('x'))
  await turns()
  assert.equal(fatal[0]?.message, `cannot apply raft entry ${index}: cannot be`)
  assert.equal(driver.leadership.isLeader, false)
})

test('a restart applies what came after the persisted state, and leads after that', async () => {
  const log = new MemoryLog()
  const first = await start(log)
  await turns()
  for (const text of ['x', 'y', 'z']) first.driver.propose(Buffer.from(text))
  await turns()
  await first.driver.stop()
  const [x] = first.machine.applied
  const machine = new ListMachine(x?.index)
  const { driver } = await start(log, { machine })
  await turns()
  assert.deepEqual(machine.texts(), ['y', 'z'])
  assert.equal(driver.leadership.isLeader, true)
  assert.equal(driver.leadership.term, 3)
})

test('a long replay leaves the event loop turns, and leadership waits for its end', async () => {
  const log = new MemoryLog()
  const first = await start(log)
  await turns()
  for (let i = 0; i < 5000; i++) first.driver.propose(Buffer.from(`${i}`))
  await turns(30)
  await first.driver.stop()
  const { driver, machine } = await start(log)
  const applied: number[] = []
  while (!driver.leadership.isLeader) {
    await settle()
    applied.push(machine.applied.length)
  }
  assert.equal(machine.applied.length, 5000)
  assert.ok(new Set(applied).size >= 8, `turns: ${applied.join()}`)
})

test('a state that is ahead of the log is refused', async () => {
  await assert.rejects(start(new MemoryLog(), { machine: new ListMachine(7) }), /the state is at 7/)
})

test('a state that is older than the log is refused', async () => {
  const log = new MemoryLog()
  const { driver } = await start(log, { logEntriesForSlowFollowers: 0 })
  await turns()
  for (let i = 0; i < 10; i++) driver.propose(Buffer.from(`${i}`))
  await turns()
  await driver.compactTo(driver.appliedIndex)
  await driver.stop()
  await assert.rejects(start(log, { machine: new ListMachine(3) }), /the state ends at 3/)
})

test('compaction keeps entries for slow followers', async () => {
  const log = new MemoryLog()
  const { driver } = await start(log)
  await turns()
  for (let i = 0; i < 1000; i++) driver.propose(Buffer.from(`${i}`))
  await turns()
  await driver.compactTo(400)
  assert.equal(driver.status().startIndex, 0)
  await driver.compactTo(900)
  assert.equal(driver.status().startIndex, 400)
  assert.equal(log.state.entries[0]?.index, 401)
  await driver.compactTo(1_000_000)
  assert.equal(driver.status().startIndex, driver.appliedIndex - 500)
})

test('readIndex resolves once everything acknowledged before is applied', async () => {
  const { driver, machine } = await start(new MemoryLog())
  await turns()
  driver.propose(Buffer.from('x'))
  await turns()
  await driver.readIndex()
  assert.deepEqual(machine.texts(), ['x'])
})

test('readIndex without a leader is refused after an election timeout', async () => {
  const { driver, env } = await start(new MemoryLog(), { joins: true })
  const read = driver.readIndex()
  const refused = assert.rejects(read, NoLeaderError)
  await env.advanceAsync(1100)
  await refused
})

test('a leader without other members answers reads in the same turn', async () => {
  const { driver } = await start(new MemoryLog())
  await turns()
  let turned = false
  setImmediate(() => (turned = true))
  await driver.readIndex()
  assert.equal(turned, false)
})

test('stop ends reads that wait for a leader', async () => {
  const { driver } = await start(new MemoryLog(), { joins: true })
  await turns()
  const read = assert.rejects(driver.readIndex(), /was stopped/)
  await driver.stop()
  await read
})

test('stop ends ticks, and tells the listeners', async () => {
  const { driver, env } = await start(new MemoryLog())
  await turns()
  const seen: boolean[] = []
  driver.onLeadershipChange(({ isLeader }) => seen.push(isLeader))
  await driver.stop()
  assert.deepEqual(seen, [false])
  assert.equal(env.nextDueMs(), undefined)
})

test('stop waits for the disk', async () => {
  const log = new SlowLog()
  const { driver } = await start(log)
  await turns()
  log.hold = true
  driver.propose(Buffer.from('x'))
  await turns()
  let stopped = false
  const stop = driver.stop().then(() => (stopped = true))
  await turns()
  assert.equal(stopped, false)
  log.release()
  await stop
})

test('a single member adds a learner, updates and removes it', async () => {
  const { driver } = await start(new MemoryLog())
  await turns()
  await driver.addMember('b', '10.0.0.2:2377')
  await driver.updateMember('b', '10.0.0.3:2377')
  assert.deepEqual(
    driver.membership.members.map(({ id, kind, context }) => [id, kind, context]),
    [
      ['a', 'voter', '127.0.0.1:2377'],
      ['b', 'learner', '10.0.0.3:2377'],
    ],
  )
  await driver.removeMember('b')
  await assert.rejects(driver.removeMember('b'), /not a member/)
  await assert.rejects(driver.addMember('b', ''), /was removed/)
  await assert.rejects(driver.transferLeadership(), /no other voter/)
})

test('a snapshot whose installation was interrupted is finished when the state has it', async () => {
  const membership = { members: [{ id: 'a', kind: 'voter', context: '' } as const], removedIds: [] }
  const staged = { index: 50, term: 4, membership }
  const log = new MemoryLog({
    hardState: { term: 4, votedFor: undefined, commit: 1 },
    snapshot: { index: 0, term: 0, membership },
    staged,
    entries: [{ index: 1, term: 1, kind: 'noop', data: new Uint8Array(0) }],
  })
  const { driver } = await start(log, { machine: new ListMachine(50) })
  await turns()
  assert.equal(driver.status().startIndex, 50)
  assert.equal(driver.leadership.isLeader, true)
  assert.equal(log.state.staged, undefined)
})

test('a snapshot whose installation was interrupted is forgotten when the state does not have it', async () => {
  const membership = { members: [{ id: 'a', kind: 'voter', context: '' } as const], removedIds: [] }
  const log = new MemoryLog({
    hardState: { term: 4, votedFor: undefined, commit: 1 },
    snapshot: { index: 0, term: 0, membership },
    staged: { index: 50, term: 4, membership },
    entries: [{ index: 1, term: 1, kind: 'noop', data: new Uint8Array(0) }],
  })
  const { driver } = await start(log)
  await turns()
  assert.equal(driver.status().startIndex, 0)
  assert.equal(log.state.staged, undefined)
})

test('a received snapshot is installed, acknowledged, and followed by entries', async () => {
  const membership = {
    members: [
      { id: 'l', kind: 'voter', context: '' } as const,
      { id: 'a', kind: 'voter', context: '' } as const,
    ],
    removedIds: [],
  }
  const sent: string[] = []
  const transport = {
    ...noTransport,
    send: (_to: string, messages: readonly { type: string }[]) =>
      void sent.push(...messages.map((m) => m.type)),
  }
  const log = new MemoryLog()
  const { driver, machine } = await start(log, { transport, joins: true })
  const envelope = { from: 'l', to: 'a', term: 3 }
  const snapshot = { index: 20, term: 2, membership }
  await driver.receiveSnapshot({ ...envelope, type: 'snapshot', snapshot }, machine.snapshot())
  await turns()
  assert.deepEqual(machine.installed, snapshot)
  assert.deepEqual(sent, ['appendReply'])
  assert.equal(driver.appliedIndex, 20)
  const entries = [{ index: 21, term: 3, kind: 'data', data: Buffer.from('x') } as const]
  driver.receive([{ ...envelope, type: 'append', prevIndex: 20, prevTerm: 2, entries, commit: 21 }])
  await turns()
  assert.deepEqual(machine.texts(), ['x'])
  assert.deepEqual(log.state.snapshot, snapshot)
  assert.deepEqual(driver.leadership, { isLeader: false, leaderId: 'l', term: 3 })
})
