import { parentPort as port, workerData } from 'node:worker_threads'
import { simulate } from './simulation.js'

/** Simulates every `step`th seed, and reports each. */
const { first, end, step } = workerData as {
  readonly first: number
  readonly end: number
  readonly step: number
}

for (let seed = first; seed < end; seed += step) {
  const { counts } = await simulate({ seed })
  port?.postMessage({ seed, counts }, [])
}
