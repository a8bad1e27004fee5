// Faults on a cluster of real daemons while clients write: `npm run lab:failover -- [--rounds N] [--seed N]
// [--faults a,b] [--hold MS]`. See test/README.md.
import { parseArgs } from 'node:util'
import { needs } from '../lib/needs.js'
import { seededRandom } from '../lib/simulated-env.js'
import { faults, type Fault } from './faults.js'
import { Lab, type Round } from './lab.js'
import { describeRound, isOnTarget, summary } from './report.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '24' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    faults: { type: 'string', default: '' },
    hold: { type: 'string', default: '2000' },
  },
})

/** Every kind once in random order, then again, until there are enough. */
function plan(kinds: readonly Fault[], rounds: number, random: () => number): readonly Fault[] {
  const planned: Fault[] = []
  while (planned.length < rounds) {
    const left = [...kinds]
    while (left.length > 0) planned.push(...left.splice(Math.floor(random() * left.length), 1))
  }
  return planned.slice(0, rounds)
}

async function main(): Promise<boolean> {
  const lacking = needs('cli') || needs('nftables')
  const isolated = lacking === false
  if (!isolated) console.log(`Faults of networks and disks are left out: ${lacking}`)
  const wanted = values.faults === '' ? undefined : values.faults.split(',')
  const kinds = faults.filter(
    ({ name, needsNamespaces }) => (isolated || !needsNamespaces) && wanted?.includes(name) !== false,
  )
  if (kinds.length === 0) throw new Error(`no fault is called ${values.faults}`)
  const random = seededRandom(Number(values.seed))
  console.log(`seed ${values.seed}, ${values.rounds} rounds of ${kinds.map(({ name }) => name).join(', ')}`)
  const lab = await Lab.start({ random, isolated, holdMs: Number(values.hold) })
  const rounds: Round[] = []
  try {
    for (const fault of plan(kinds, Number(values.rounds), random)) {
      const round = await lab.round(fault)
      rounds.push(round)
      console.log(describeRound(round))
      for (const violation of lab.history.violations.splice(0)) {
        console.log(`VIOLATION: ${violation}`)
        process.exitCode = 1
      }
    }
  } finally {
    await lab.stop()
  }
  console.log(summary(rounds, lab.history))
  return isOnTarget(rounds)
}

if (!(await main())) process.exitCode = 1
