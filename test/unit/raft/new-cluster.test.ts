import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMembership, RaftCore, type Entry, type Member } from '../../../src/raft/core/index.js'
import { encodeChange, type MembershipChange } from '../../../src/raft/core/membership.js'
import { formNewCluster } from '../../../src/raft/index.js'
import type { LogState } from '../../../src/raft/log/log-storage.js'
import { MemoryLog } from '../../../src/raft/log/memory-log.js'

const member = (id: string, kind: Member['kind'] = 'voter'): Member => ({ id, kind, context: `at ${id}` })

/** A log that begins after index 10, of term 4. */
function logOf(members: readonly Member[], changes: readonly MembershipChange[], commit: number): LogState {
  const data = (text: string) => ({ kind: 'data' as const, data: Buffer.from(text) })
  const kinds = [
    data('committed'),
    ...changes.map((change) => ({ kind: 'membership' as const, data: encodeChange(change) })),
    data('perhaps committed'),
  ]
  return {
    hardState: { term: 6, votedFor: 'b', commit },
    snapshot: { index: 10, term: 3, membership: { ...emptyMembership, members } },
    staged: undefined,
    entries: kinds.map((entry, at): Entry => ({ index: 11 + at, term: 4, ...entry })),
  }
}

/** The members and entries that a core on this log has, with the role that it takes. */
function started(id: string, { state }: MemoryLog) {
  const core = new RaftCore({
    id,
    state: { ...state, appliedIndex: state.snapshot.index },
    randomInt: () => 0,
  })
  const ready = core.ready()
  if (ready !== undefined) core.advance(ready)
  return {
    members: core.membership.members,
    removed: core.membership.removedIds,
    role: core.role,
    data: state.entries
      .filter(({ kind }) => kind === 'data')
      .map((entry) => Buffer.from(entry.data).toString()),
    committed: state.entries.at(-1)?.index === state.hardState.commit,
  }
}

test('one of three leads alone, and what may have been acknowledged stays', async () => {
  const log = new MemoryLog(logOf([member('a'), member('b'), member('c')], [], 11))
  await formNewCluster(log, 10, 'c', 'at c')
  assert.deepEqual(started('c', log), {
    members: [member('c')],
    removed: ['a', 'b'],
    role: 'leader',
    data: ['committed', 'perhaps committed'],
    committed: true,
  })
})

test('doing it twice changes nothing', async () => {
  const log = new MemoryLog(logOf([member('a'), member('b'), member('c')], [], 11))
  await formNewCluster(log, 10, 'c', 'at c')
  const once = log.state
  await formNewCluster(log, 10, 'c', 'at c')
  assert.deepEqual(log.state.entries, once.entries)
  assert.deepEqual(log.state.hardState, once.hardState)
})

test('a learner gets its vote, and the new address counts', async () => {
  const log = new MemoryLog(logOf([member('a'), member('c', 'learner')], [], 11))
  await formNewCluster(log, 10, 'c', 'elsewhere')
  const { members, role } = started('c', log)
  assert.deepEqual(members, [{ ...member('c'), context: 'elsewhere' }])
  assert.equal(role, 'leader')
})

test('members of whom only the end of the log tells are taken out, too', async () => {
  const added: MembershipChange = { type: 'add', member: member('d', 'learner') }
  const log = new MemoryLog(logOf([member('a'), member('c')], [added, { type: 'remove', id: 'a' }], 11))
  await formNewCluster(log, 10, 'c', 'at c')
  const { members, removed, role } = started('c', log)
  assert.deepEqual([members, removed, role], [[member('c')], ['a', 'd'], 'leader'])
})

test('who has been removed itself cannot go on', async () => {
  const log = new MemoryLog(logOf([member('a'), member('c')], [{ type: 'remove', id: 'c' }], 12))
  await assert.rejects(formNewCluster(log, 10, 'c', 'at c'), /this manager, c, was removed from the cluster/)
})
