import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { TestCluster, type ClusterNode } from '../lib/cluster.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'

test('with autolock every manager asks for the key when it starts', { skip: needs('cli') }, async (t) => {
  const cluster = await TestCluster.start(3)
  t.after(() => cluster.stop())
  const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)]
  await cluster.init()
  await cluster.join(2, 'manager')
  await cluster.join(3, 'manager')
  const key = async () => (await one.docker.ok('swarm unlock-key -q')).trim()
  const unlock = ({ docker }: typeof one, text: string) =>
    docker.run(['swarm', 'unlock'], { input: `${text}\n` })
  const isBack = (name: string) =>
    eventually(
      `${name} to be back`,
      async () =>
        (await cluster.list()).some(
          (line) => line.startsWith(name) && line.endsWith('ready active reachable'),
        ),
      30_000,
    )

  await one.docker.ok('service create --detach --name web --replicas 2 busybox sleep 1000000')
  assert.deepEqual(sealingKeys(one), [1])
  await one.docker.ok('swarm update --autolock=true')
  const first = await key()
  assert.match(first, /^SWMKEY-1-/)
  // The data key has been on disk in clear: a new one seals everything, and the certificate has a new key.
  for (const node of cluster.nodes) {
    await eventually(`${node.name} to have its data sealed anew`, () => {
      const file = readFileSync(join(node.skepd.dataRoot, 'swarm/certificates/swarm-node.key'), 'utf8')
      const isLocked = file.includes('BEGIN ENCRYPTED PRIVATE KEY') && !file.includes('raft-dek-pending')
      return isLocked && sealingKeys(node).join() === '2'
    })
  }
  // The key file is rewritten in the background, by each manager for itself.
  await eventually('node-2 to be locked', async () => {
    await two.skepd.restart()
    return (await two.docker.ok('info --format {{.Swarm.LocalNodeState}}')) === 'locked\n'
  })
  assert.match(
    await two.docker.fails('node ls'),
    /Swarm is encrypted and needs to be unlocked before it can be used/,
  )
  const wrong = await unlock(two, `SWMKEY-1-${'A'.repeat(43)}`)
  assert.match(wrong.stderr, /swarm could not be unlocked: invalid key provided/)
  assert.equal((await unlock(two, first)).code, 0)
  await isBack('node-2')

  await one.docker.ok('swarm unlock-key --rotate -q')
  const second = await key()
  assert.notEqual(second, first)
  await eventually('node-3 to be locked with the new key', async () => {
    await three.skepd.restart()
    return (await unlock(three, first)).code !== 0
  })
  assert.equal((await unlock(three, second)).code, 0)
  await isBack('node-3')
  assert.match(await three.docker.ok('service ls --format {{.Name}}'), /^web$/m)
})

/** Ids of the data keys with which a manager's log and objects are sealed. */
function sealingKeys({ skepd }: ClusterNode): readonly number[] {
  const db = new Database(join(skepd.dataRoot, 'swarm/raft/manager.db'), { readonly: true })
  try {
    const rows = db
      .prepare(
        `SELECT DISTINCT hex(substr(sealed, 1, 1)) AS id FROM (
          SELECT data AS sealed FROM raft_entries UNION ALL SELECT membership FROM raft_snapshots
          UNION ALL SELECT data FROM stored_objects WHERE data IS NOT NULL) ORDER BY id`,
      )
      .all() as { readonly id: string }[]
    return rows.map(({ id }) => parseInt(id, 16))
  } finally {
    db.close()
  }
}
