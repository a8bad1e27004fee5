import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DatabaseThread, Sealer } from '../../../src/db/index.js'
import { raftLogSchema, SqliteLog } from '../../../src/raft/index.js'

const ROUNDS = 4
const child = fileURLToPath(new URL('./kill-child.js', import.meta.url))

/** Runs the writer until it has acknowledged `count` writes, and kills it in the middle of the next ones. */
async function writeAndKill(path: string, round: number, count: number): Promise<string[]> {
  const process_ = spawn(process.execPath, [child, path, `${round}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(process_, 'exit')
  const lines: string[] = []
  for await (const line of createInterface({ input: process_.stdout })) {
    lines.push(line)
    if (lines.length === count) process_.kill('SIGKILL')
  }
  assert.deepEqual(await exited, [null, 'SIGKILL'])
  return lines
}

test('kill -9 in the middle of writes: every acknowledged write is in the log, at its index', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'skep-kill-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'state.db')
  const acknowledged = new Map<number, string>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const line of await writeAndKill(path, round, 50 + round * 170)) {
      const match = /^(\d+) (\d+\/\d+)$/.exec(line)
      if (match?.[1] !== undefined && match[2] !== undefined) acknowledged.set(Number(match[1]), match[2])
    }
  }
  const db = await DatabaseThread.open(path, { schema: raftLogSchema })
  t.after(() => db.close())
  const { entries } = await new SqliteLog(db, Sealer.of(Buffer.alloc(32, 1))).load()
  const found = new Map(entries.map((entry) => [entry.index, Buffer.from(entry.data).toString()]))
  assert.ok(acknowledged.size >= 50 * ROUNDS, `${acknowledged.size} acknowledged`)
  for (const [index, text] of acknowledged) assert.equal(found.get(index), text, `entry ${index}`)
})
