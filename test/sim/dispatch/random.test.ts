import { test } from 'node:test'
import { runFor } from '../../lib/run-for.js'
import { DispatchHarness } from './harness.js'

const seeds = Number(process.env.SKEP_SIM_SEEDS ?? 25)
const firstSeed = Number(process.env.SKEP_SIM_FIRST_SEED ?? 1)

/** Random work with connections that break or go silent, agents that die, and leaders that change. */
async function history(seed: number): Promise<void> {
  const cluster = new DispatchHarness(seed)
  const { env } = cluster
  await cluster.start(4)
  for (let step = 0; step < 120; step++) {
    const node = cluster.nodes[env.randomInt(cluster.nodes.length)]
    const what = env.randomInt(100)
    if (what < 35) cluster.createTask()
    else if (what < 75) cluster.advanceTask()
    else if (what < 83) node?.link?.cut()
    else if (what < 87) node?.link?.freeze()
    else if (what < 95 && node !== undefined) {
      cluster.kill(node)
      cluster.boot(node)
    } else if (what < 97) await cluster.changeLeader()
    else {
      const target = cluster.createTask(node)
      await runFor(env, env.randomInt(80))
      cluster.kill(target)
      cluster.boot(target)
    }
    await runFor(env, env.randomInt(700))
  }
  cluster.losesIncrements = false
  // Whoever missed the last increment finds out by the next one.
  for (const node of cluster.nodes) cluster.createTask(node)
  await runFor(env, 90_000)
  cluster.checkConverged()
}

for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  test(`every task comes to its end, no status is lost (seed ${seed})`, () => history(seed))
}
