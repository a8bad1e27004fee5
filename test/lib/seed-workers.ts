import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

/** What one thread plays: every `step`th seed from `first` up to `end`, exclusive. */
export interface SeedShare {
  readonly first: number
  readonly end: number
  readonly step: number
}

/**
 * Plays seeds in threads of `script`, each core its share, which the thread finds in its `workerData` along with
 * `data`. Resolves with the messages of all threads; rejects with the first failure, which names its seed.
 */
export async function playSeeds(
  script: URL,
  firstSeed: number,
  count: number,
  data: Readonly<Record<string, unknown>> = {},
): Promise<readonly unknown[]> {
  const step = Math.max(1, Math.min(availableParallelism(), count))
  const messages: unknown[] = []
  const workers = Array.from({ length: step }, (_, share) => {
    const own: SeedShare = { first: firstSeed + share, end: firstSeed + count, step }
    const worker = new Worker(script, { workerData: { ...data, ...own } })
    worker.on('message', (message) => messages.push(message))
    return worker
  })
  const ended = workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        worker.once('error', reject)
        worker.once('exit', () => resolve())
      }),
  )
  try {
    await Promise.all(ended)
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  return messages
}
