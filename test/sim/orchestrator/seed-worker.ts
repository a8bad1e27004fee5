import { parentPort as port, workerData } from 'node:worker_threads'
import type { SeedShare } from '../../lib/seed-workers.js'
import { runHistory } from './history.js'
import { runUpdates } from './updates.js'

/** Which histories a worker plays: every `step`th seed. */
export interface Share extends SeedShare {
  readonly kind: 'histories' | 'real loops' | 'updates'
}

const { kind, first, end, step } = workerData as Share

for (let seed = first; seed < end; seed += step) {
  if (kind === 'updates') await runUpdates(seed)
  else await runHistory(seed, kind === 'real loops')
  port?.postMessage(seed, [])
}
