import assert from 'node:assert/strict'
import { test } from 'node:test'
import { raftRules } from '../../../src/raft/core/index.js'
import type { SimulatedMember } from './member.js'
import type { SimulationOptions } from './options.js'
import { Violation } from './oracle.js'
import { emptyMachine } from './register-machine.js'
import { Simulation } from './simulation.js'

/** Two servers and a witness under load, in a world where nothing goes wrong but what the test does. */
class Scene {
  readonly sim: Simulation
  #isWriting = true

  private constructor(options: SimulationOptions) {
    this.sim = new Simulation({ ...options, twoAndWitness: true, quiet: true })
  }

  static async start(options: SimulationOptions): Promise<Scene> {
    const scene = new Scene(options)
    await scene.sim.start()
    scene.#write()
    const { clock, chance } = scene.sim
    await scene.sim.runUntil(clock.nowMs + 4000 + chance.below(2000))
    return scene
  }

  get leader(): SimulatedMember {
    const leader = [...this.sim.members.values()].find((member) => member.leads)
    if (leader === undefined) throw new Violation('nobody leads')
    return leader
  }

  get follower(): SimulatedMember {
    const { leader } = this
    const other = this.servers.find((member) => member !== leader)
    assert.ok(other)
    return other
  }

  get servers(): SimulatedMember[] {
    return [...this.sim.members.values()].filter(({ isWitness }) => !isWitness)
  }

  get witness(): SimulatedMember {
    const witness = [...this.sim.members.values()].find(({ isWitness }) => isWitness)
    assert.ok(witness)
    return witness
  }

  /** How many writes are acknowledged within the next `durationMs`. */
  async acknowledgedWithin(durationMs: number): Promise<number> {
    const { acknowledged } = this.sim.oracle.counts
    await this.sim.runUntil(this.sim.clock.nowMs + durationMs)
    return this.sim.oracle.counts.acknowledged - acknowledged
  }

  /** Both servers have all that was ever seen. */
  async converges(): Promise<void> {
    this.#isWriting = false
    await this.sim.runUntil(this.sim.clock.nowMs + 5000)
    for (const { id, machine } of this.servers)
      this.sim.oracle.onConverged(id, machine?.state ?? emptyMachine)
  }

  /** Whoever leads gets writes all the time: at any moment some are on their way. */
  #write(): void {
    const { clock, chance, clients } = this.sim
    clock.after(chance.between(1, 25), () => {
      if (!this.#isWriting) return
      for (const member of this.servers) if (member.leads) clients.write(member)
      this.#write()
    })
  }
}

/** More with `SKEP_SIM_SEEDS`, as for the random worlds. */
const SEEDS = Math.ceil(Number(process.env['SKEP_SIM_SEEDS'] ?? 2000) / 20)

/** So long a death of one may keep the others from writing: an election, or a little longer than a check of silence. */
const pauseMs = 6000

async function survives(
  options: SimulationOptions,
  victim: 'leader' | 'follower' | 'witness',
): Promise<void> {
  const scene = await Scene.start(options)
  const member = scene[victim]
  member.powerOff()
  const acknowledged = await scene.acknowledgedWithin(pauseMs)
  if (acknowledged === 0) throw new Violation(`seed ${options.seed}: no write after the ${victim} died`)
  await member.start()
  await scene.converges()
}

for (const victim of ['leader', 'follower', 'witness'] as const) {
  test(`the ${victim} dies under load, at any moment: writes go on, and nothing is lost`, async () => {
    const seeds = victim === 'leader' ? SEEDS : SEEDS / 4
    for (let seed = 1; seed <= seeds; seed++) await survives({ seed }, victim)
  })
}

test('caught: a witness that is told of what a living server lacks', async (t) => {
  const rules = { ...raftRules, witnessWaits: false }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const failure = await survives({ seed, rules }, 'leader').catch((error: unknown) => error)
    if (failure === undefined) continue
    assert.ok(failure instanceof Violation)
    t.diagnostic(failure.message)
    assert.match(failure.message, /no write after the leader died/)
    return
  }
  assert.fail('no seed noticed')
})

test('leader and witness go on alone and the leader dies: the stale survivor refuses, and nothing is lost', async () => {
  for (let seed = 1; seed <= SEEDS / 5; seed++) {
    const scene = await Scene.start({ seed })
    const { leader, follower, sim } = scene
    sim.network.isolate(follower.id)
    assert.ok((await scene.acknowledgedWithin(pauseMs)) > 0, `seed ${seed}`)
    leader.powerOff()
    sim.network.heal()
    assert.equal(await scene.acknowledgedWithin(20_000), 0, `seed ${seed}`)
    assert.ok(!follower.leads && follower.driver?.leadership.leaderId === undefined, `seed ${seed}`)
    await leader.start()
    assert.ok((await scene.acknowledgedWithin(pauseMs)) > 0, `seed ${seed}`)
    await scene.converges()
  }
})

test('server and witness die: the last one refuses until one of them is back', async () => {
  for (let seed = 1; seed <= SEEDS / 5; seed++) {
    const scene = await Scene.start({ seed })
    const { leader, witness } = scene
    const last = scene.follower
    leader.powerOff()
    witness.powerOff()
    assert.equal(await scene.acknowledgedWithin(20_000), 0, `seed ${seed}`)
    assert.ok(!last.leads, `seed ${seed}`)
    await (seed % 2 === 0 ? witness : leader).start()
    assert.ok((await scene.acknowledgedWithin(pauseMs)) > 0, `seed ${seed}`)
    await Promise.all([leader.start(), witness.start()])
    await scene.converges()
  }
})
