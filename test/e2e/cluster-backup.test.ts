import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { fill, inventory } from '../lib/inventory.js'
import { needs } from '../lib/needs.js'
import { skep } from '../lib/skep-cli.js'

const settleMs = 60_000
/** Nodes that do not come back are down after four of these. */
const quickHeartbeats = ['--dispatcher-heartbeat', '1s']

async function start(t: TestContext, count: number): Promise<TestCluster> {
  const cluster = await TestCluster.start(count)
  t.after(() => cluster.stop())
  return cluster
}

/** What must not be found in a backup. */
async function unsealed({ docker, skepd }: ClusterNode): Promise<readonly string[]> {
  const keyFile = readFileSync(join(skepd.dataRoot, 'swarm/certificates/swarm-node.key'), 'utf8')
  const tokens = await Promise.all(
    ['worker', 'manager'].map((role) => docker.ok(`swarm join-token -q ${role}`)),
  )
  const lines = keyFile.split('\n').filter((line) => /^[A-Za-z0-9+/=]{40,}$/.test(line))
  const dataKey = /^raft-dek: \d+ (\S+)$/m.exec(keyFile)?.[1]
  assert.ok(lines.length > 0 && dataKey !== undefined)
  return ['hunter2', 'aHVudGVyMg', 'BEGIN PRIVATE', ...tokens.map((token) => token.trim()), ...lines, dataKey]
}

function assertSealed(path: string, secrets: readonly string[]): void {
  const bytes = readFileSync(path)
  for (const secret of secrets) {
    assert.ok(!bytes.includes(secret), `${path} holds ${secret}`)
    const raw = Buffer.from(secret, 'base64')
    if (raw.length >= 32) assert.ok(!bytes.includes(raw), `${path} holds what ${secret} says`)
  }
}

test(
  'a backup is restored on another address and data root, with or without autolock',
  { skip: needs('cli'), timeout: 240_000 },
  async (t) => {
    const cluster = await start(t, 3)
    const [one, two, worker] = [cluster.node(1), cluster.node(2), cluster.node(3)]
    const folder = mkdtempSync(join(tmpdir(), 'skep-backup-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const [backup, keyFile] = [join(folder, 'backup'), join(folder, 'key')]
    await cluster.init(1, quickHeartbeats)
    await cluster.join(3, 'worker')
    await fill(one)
    const before = await inventory(one)

    const made = await skep(one, ['backup', '-o', backup, '--key-file', keyFile, '--format', 'json'])
    assert.equal(made.code, 0, made.stderr)
    assert.equal((JSON.parse(made.stdout) as { lockedBy: string }).lockedBy, 'backupKey')
    await one.docker.ok('config create after-the-backup -', 'x')
    assertSealed(backup, await unsealed(one))
    assert.match((await skep(one, ['backup', '-o', backup])).stderr, /exists already/)
    assert.match(
      (await skep(one, ['restore', backup, '--key-file', keyFile])).stderr,
      /This node is already part of a swarm/,
    )

    await one.skepd.kill()
    const byHand = join(two.skepd.dataRoot, 'swarm')
    await two.skepd.kill()
    mkdirSync(byHand, { recursive: true })
    execFileSync('tar', ['-xf', backup, '-C', byHand])
    await two.skepd.restart()
    await two.docker.ok('swarm unlock', readFileSync(keyFile, 'utf8'))
    assert.deepEqual(await inventory(two), before)
    await two.docker.ok('swarm leave --force')

    const elsewhere = ['--advertise-addr', two.address, '--listen-addr', two.clusterAddr]
    const restore = (...more: string[]) => skep(two, ['restore', backup, ...elsewhere, ...more])
    assert.match((await restore()).stderr, /this backup has a key of its own/)
    const otherKey = join(folder, 'other')
    writeFileSync(otherKey, `SWMKEY-1-${'A'.repeat(43)}`)
    assert.match((await restore('--key-file', otherKey)).stderr, /the key is not the one of this backup/)
    const restored = await restore('--key-file', keyFile)
    assert.equal(restored.code, 0, restored.stderr)
    assert.deepEqual(await inventory(two), before)
    assert.equal((await cluster.list(2)).length, 2)
    assert.match(await two.docker.ok('info --format {{.Swarm.NodeAddr}}'), new RegExp(two.address))
    // The same manager, elsewhere: the worker does not find it, and joins again with the token that it knows.
    await worker.docker.ok('swarm leave')
    await cluster.join(3, 'worker', 2)
    await eventually(
      'tasks to run again',
      async () => {
        const states = await two.docker.ok(
          'service ps web --filter desired-state=running --format {{.CurrentState}}',
        )
        return states.match(/Running/g)?.length === 2
      },
      settleMs,
    )
    // It is an ordinary manager from now on.
    await two.skepd.restart()
    assert.deepEqual(await inventory(two), before)

    const secrets = await unsealed(two)
    await two.docker.ok('swarm update --autolock=true')
    const locked = join(folder, 'locked')
    await eventually('the key file to be locked', () =>
      /ENCRYPTED/.test(readFileSync(join(two.skepd.dataRoot, 'swarm/certificates/swarm-node.key'), 'utf8')),
    )
    const unlockKey = (await two.docker.ok('swarm unlock-key -q')).trim()
    const lockedBy = await skep(two, ['backup', '-o', locked, '--format', 'json'])
    assert.equal((JSON.parse(lockedBy.stdout) as { lockedBy: string; key?: string }).lockedBy, 'unlockKey')
    assertSealed(locked, [unlockKey, ...secrets])
    await two.skepd.kill()
    const back = worker
    await back.docker.ok('swarm leave')
    const where = ['--advertise-addr', back.address, '--listen-addr', back.clusterAddr]
    const again = await skep(back, ['restore', locked, ...where])
    assert.match(again.stdout, /Its manager is locked: docker swarm unlock/)
    assert.match(await back.docker.fails('node ls'), /Swarm is encrypted and needs to be unlocked/)
    await back.docker.ok('swarm unlock', `${unlockKey}\n`)
    assert.deepEqual(await inventory(back), before)
    const { Spec } = (await back.skepd.request('GET', '/configs/settings')).json() as {
      Spec: { Data: string }
    }
    assert.equal(Buffer.from(Spec.Data, 'base64').toString(), 'settings')
  },
)
