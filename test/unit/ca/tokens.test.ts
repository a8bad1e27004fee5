import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import {
  checkRootDigest,
  createJoinToken,
  joinTokenRole,
  parseJoinToken,
} from '../../../src/ca/join-token.js'
import { createUnlockKey, formatUnlockKey, parseUnlockKey } from '../../../src/ca/unlock-key.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'
import { dockerCluster, dockerRootPem } from './docker-fixture.js'

test('a token names the root it belongs to', () => {
  const env = new SimulatedEnv(3)
  for (let round = 0; round < 200; round++) {
    const pem = `root ${round}`
    const token = createJoinToken(env, pem)
    assert.match(token, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/)
    const parsed = parseJoinToken(token)
    assert.equal(parsed.rootDigestHex, createHash('sha256').update(pem).digest('hex'))
    checkRootDigest(parsed, pem)
  }
})

test("dockerd's tokens name dockerd's root", () => {
  const parsed = parseJoinToken(dockerCluster.workerToken)
  checkRootDigest(parsed, dockerRootPem)
  const digest = createJoinToken(new SimulatedEnv(), dockerRootPem).split('-')[2]
  assert.equal(digest, dockerCluster.workerToken.split('-')[2])
  assert.throws(() => checkRootDigest(parsed, `${dockerRootPem}\n`), {
    message: `remote CA does not match fingerprint. Expected: ${parsed.rootDigestHex}`,
  })
})

test('a malformed token is refused in the words of Docker', () => {
  const good = dockerCluster.workerToken
  const [, , digest, secret] = good.split('-')
  const bad = [
    '',
    'zz',
    'SWMTKN-1',
    'SWMTKN-9-a-b',
    `SWMTKX-1-${digest}-${secret}`,
    `SWMTKN-1-${digest}-${secret}0`,
    `SWMTKN-1-0${digest}-${secret}`,
    `SWMTKN-1-${digest?.slice(1)}-${secret}`,
    `SWMTKN-1-${digest}-${secret}-`,
    `SWMTKN-1-${'z'.repeat(50)}-${secret}`,
    `SWMTKN-1-${digest?.toUpperCase()}-${secret}`,
    `SWMTKN-3-0-${digest}-${secret}`,
    `${good} `,
  ]
  for (const token of bad) {
    assert.throws(() => parseJoinToken(token), { code: 'Unknown', message: 'invalid join token' }, token)
  }
  assert.equal(parseJoinToken(`SWMTKN-2-0-${digest}-${secret}`).secret, secret)
  assert.throws(() => parseJoinToken(`SWMTKN-2-1-${digest}-${secret}`), {
    message: 'node is not FIPS-enabled but cluster requires FIPS',
  })
})

test('the whole token decides the role', () => {
  const { managerToken: manager, workerToken: worker } = dockerCluster
  const role = (token: string) => joinTokenRole(token, { manager, worker })
  assert.equal(role(manager), 'manager')
  assert.equal(role(worker), 'worker')
  assert.equal(role(manager.slice(0, -1)), undefined)
  assert.equal(role(`${manager.slice(0, -1)}0`), undefined)
  assert.equal(role(''), undefined)
})

test('an unlock key goes there and back', () => {
  const env = new SimulatedEnv(5)
  for (let round = 0; round < 100; round++) {
    const key = createUnlockKey(env)
    const text = formatUnlockKey(key)
    assert.match(text, /^SWMKEY-1-[A-Za-z0-9+/]{43}$/)
    assert.deepEqual(parseUnlockKey(text), key)
  }
})

test('a malformed unlock key is refused in the words of Docker', () => {
  const good = formatUnlockKey(Buffer.alloc(32, 7))
  for (const text of [
    '',
    'abc',
    'SWMKEY-1-x',
    good.slice(0, -1),
    `${good}A`,
    `${good}=`,
    good.replace('1', '2'),
  ]) {
    assert.throws(
      () => parseUnlockKey(text),
      { code: 'InvalidArgument', message: 'invalid key string' },
      text,
    )
  }
})
