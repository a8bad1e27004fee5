import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { needs } from '../lib/needs.js'
import { membership } from './membership.js'

test('five nodes on 127.0.0.1 to 127.0.0.5', { skip: needs('cli'), timeout: 400_000 }, async (t) => {
  const cluster = await TestCluster.start(5)
  t.after(() => cluster.stop())
  await membership(t, cluster)
})
