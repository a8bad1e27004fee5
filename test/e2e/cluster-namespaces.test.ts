import { test } from 'node:test'
import { TestCluster } from '../lib/cluster.js'
import { Namespaces } from '../lib/namespaces.js'
import { needs } from '../lib/needs.js'
import { membership } from './membership.js'

test(
  'five nodes with networks of their own, which find out their addresses by themselves',
  { skip: needs('cli', 'netns'), timeout: 400_000 },
  async (t) => {
    const namespaces = await Namespaces.create(5)
    t.after(() => namespaces.stop())
    const cluster = await TestCluster.start(5, [], {
      sites: namespaces.sites,
      port: 2377,
      detectAddresses: true,
    })
    t.after(() => cluster.stop())
    await membership(t, cluster)
  },
)
