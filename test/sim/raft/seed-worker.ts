import { parentPort as port, workerData } from 'node:worker_threads'
import type { SeedShare } from '../../lib/seed-workers.js'
import { simulate } from './simulation.js'

/** Simulates every `step`th seed, and reports each. */
const { first, end, step } = workerData as SeedShare

for (let seed = first; seed < end; seed += step) {
  const { counts } = await simulate({ seed })
  port?.postMessage({ seed, counts }, [])
}
