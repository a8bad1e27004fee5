import { randomFillSync } from 'node:crypto'

/** A system call for each nonce and ID would cost more than sealing with it. */
const poolBytes = 8192

const pool = Buffer.alloc(poolBytes)
let used = poolBytes

/** Fresh bytes of the system's CSPRNG, fetched in advance a few thousand at a time. */
export function pooledRandomBytes(length: number): Buffer {
  if (length > poolBytes / 8) return randomFillSync(Buffer.alloc(length))
  if (used + length > poolBytes) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = Buffer.from(pool.subarray(used, used + length))
  // What was handed out does not stay behind in memory.
  pool.fill(0, used, used + length)
  used += length
  return bytes
}
