import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DaemonProcess } from '../lib/daemon-process.js'

const skepPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

test('sixty workers on three managers: the leader is killed, all come back, no task is disturbed', async (t) => {
  const bench = new DaemonProcess('skep bench', process.execPath, [
    skepPath,
    'bench',
    '--workers',
    '60',
    '--format',
    'json',
  ])
  t.after(() => bench.signal('SIGTERM'))
  assert.equal(await bench.exit(240_000), 0, bench.log())
  const line =
    bench
      .log()
      .split('\n')
      .find((text) => text.startsWith('{')) ?? ''
  const figures = JSON.parse(line) as Record<string, number>
  t.diagnostic(line)
  assert.equal(figures.workers, 60)
  assert.equal(figures.managers, 3)
  assert.equal(figures.disturbedTasks, 0)
  assert.ok((figures.writableMs ?? NaN) <= (figures.reattachedMs ?? NaN))
})
