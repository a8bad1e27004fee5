import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../lib/eventually.js'
import { seededRandom } from '../lib/simulated-env.js'
import { Skepd } from '../lib/skepd.js'

const rounds = Number(process.env['SKEP_KILL_ROUNDS'] ?? 6)
const seed = Number(process.env['SKEP_SEED'] ?? Date.now() % 100_000)

interface Stored {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly Name: string; readonly Labels: Readonly<Record<string, string>> }
}

test(`kill -9 at any moment loses no acknowledged write (seed ${seed})`, async (t) => {
  t.diagnostic(`SKEP_SEED=${seed}`)
  const random = seededRandom(seed)
  const skepd = await Skepd.start()
  t.after(() => skepd.stop())
  const init = await skepd.request('POST', '/swarm/init', {
    body: { ListenAddr: '127.0.0.1:0', AdvertiseAddr: '127.0.0.1' },
  })
  assert.equal(init.status, 200, init.text)

  /** Acknowledged services: name to the last acknowledged label value. */
  const acknowledged = new Map<string, string>()
  const removed = new Set<string>()
  const versions = new Map<string, number>()
  for (let round = 0; round < rounds; round++) {
    const killed = new AbortController()
    const client = async (name: string) => {
      for (let turn = 0; !killed.signal.aborted; turn++) {
        try {
          await write(skepd, `${name}-${turn}`, acknowledged, removed)
        } catch {
          // The daemon died under the call: its outcome is open, and nothing is expected of it.
          return
        }
      }
    }
    const before = acknowledged.size
    const clients = Array.from({ length: 8 }, (_, index) => client(`r${round}-c${index}`))
    const wanted = before + 5 + Math.floor(random() * 60)
    await eventually('enough writes', () => acknowledged.size >= wanted)
    await skepd.kill()
    killed.abort()
    await Promise.all(clients)

    await skepd.restart('SIGKILL')
    const services = await eventually('the services', async () => {
      const reply = await skepd.request('GET', '/services')
      return reply.status === 200 && (JSON.parse(reply.text) as Stored[])
    })
    const byName = new Map(services.map((service) => [service.Spec.Name, service]))
    for (const [name, label] of acknowledged) {
      const service = byName.get(name)
      assert.ok(service, `round ${round}: ${name} was acknowledged and is lost`)
      // The next update may have been committed without its acknowledgement.
      assert.ok(Number(service.Spec.Labels['turn']) >= Number(label), `${name}: label ${label} went back`)
      const version = versions.get(name)
      assert.ok(version === undefined || service.Version.Index >= version, `${name}: version went back`)
      versions.set(name, service.Version.Index)
    }
    for (const name of removed)
      assert.ok(!byName.has(name), `round ${round}: ${name} was removed and is back`)
  }
  t.diagnostic(`${acknowledged.size} services, ${removed.size} removals survived ${rounds} kills`)
})

/** Creates a service, updates it, removes every third; notes what was acknowledged. */
async function write(
  skepd: Skepd,
  name: string,
  acknowledged: Map<string, string>,
  removed: Set<string>,
): Promise<void> {
  const spec = (turn: number) => ({
    Name: name,
    Labels: { turn: String(turn) },
    TaskTemplate: { ContainerSpec: { Image: 'busybox' } },
    Mode: { Replicated: { Replicas: 0 } },
  })
  const created = await skepd.request('POST', '/services/create', { body: spec(0) })
  assert.equal(created.status, 201, created.text)
  acknowledged.set(name, '0')
  const inspected = await skepd.request('GET', `/services/${name}`)
  const { Version } = JSON.parse(inspected.text) as Stored
  const updated = await skepd.request('POST', `/services/${name}/update?version=${Version.Index}`, {
    body: spec(1),
  })
  // The allocator may have written in between: then the version is stale, and that is an answer, too.
  if (updated.status === 200) acknowledged.set(name, '1')
  else assert.match(updated.text, /update out of sequence/)
  if (!name.endsWith('3')) return
  acknowledged.delete(name)
  const gone = await skepd.request('DELETE', `/services/${name}`)
  assert.equal(gone.status, 200, gone.text)
  removed.add(name)
}
