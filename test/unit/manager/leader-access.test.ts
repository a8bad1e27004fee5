import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasNotReachedLeader, LeaderAccess, noLeaderText } from '../../../src/manager/leader-access.js'
import { clusterError, SwarmError } from '../../../src/model/errors.js'
import { settle, SimulatedEnv } from '../../lib/simulated-env.js'

const passing = clusterError('Unavailable', noLeaderText)

async function advance(env: SimulatedEnv, totalMs: number): Promise<void> {
  for (let at = 0; at < totalMs; at += 25) {
    env.advance(25)
    await settle()
  }
}

test('a request that comes during an election is done after it', async () => {
  const env = new SimulatedEnv()
  let hasLeader = false
  const access = new LeaderAccess(env, () => hasLeader)
  const attempt = () => (hasLeader ? Promise.resolve('done') : Promise.reject(passing))
  const result = access.persist(attempt, hasNotReachedLeader)
  await advance(env, 2000)
  hasLeader = true
  await advance(env, 100)
  assert.equal(await result, 'done')
})

test('without a leader for five seconds requests fail at once', async () => {
  const env = new SimulatedEnv()
  const access = new LeaderAccess(env, () => false)
  await advance(env, 5100)
  let attempts = 0
  const attempt = () => {
    attempts++
    return Promise.reject(passing)
  }
  await assert.rejects(access.persist(attempt, hasNotReachedLeader), {
    code: 'Unknown',
    message: `rpc error: code = Unknown desc = ${noLeaderText}`,
  })
  assert.equal(attempts, 1)
})

test('a leader that is never reached is given up after 20 s', async () => {
  const env = new SimulatedEnv()
  const access = new LeaderAccess(env, () => true)
  const failed = assert.rejects(
    access.persist(() => Promise.reject(passing), hasNotReachedLeader),
    { code: 'DeadlineExceeded' },
  )
  await advance(env, 20_100)
  await failed
})

test('an answer that never comes is given up after 20 s', async () => {
  const env = new SimulatedEnv()
  const access = new LeaderAccess(env, () => true)
  const failed = assert.rejects(
    access.persist(() => new Promise(() => undefined), hasNotReachedLeader),
    {
      code: 'DeadlineExceeded',
      message: 'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
    },
  )
  await advance(env, 20_100)
  await failed
})

test('what may have been done is not tried again', () => {
  const cause = (code: string) => ({ cause: Object.assign(new Error(code), { code }) })
  assert.ok(hasNotReachedLeader(new SwarmError('Unavailable', 'x', cause('ECONNREFUSED'))))
  assert.ok(!hasNotReachedLeader(new SwarmError('Unavailable', 'x', cause('ECONNRESET'))))
  assert.ok(!hasNotReachedLeader(clusterError('DeadlineExceeded', 'context deadline exceeded')))
  assert.ok(!hasNotReachedLeader(clusterError('Unknown', noLeaderText)))
})
