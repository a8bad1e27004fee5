import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'
import { acceptedAs, acceptedDifferences, notYet } from './accepted-differences.js'
import { compareRuns, formatDifference, type Difference } from './compare.js'
import { readRecording, recordDockerd } from './recording.js'
import { runScript } from './runner.js'
import { script } from './steps/index.js'

/** A port of the loopback that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Why a step is not run against skepd, or false. */
function skipped(step: string): string | false {
  const found = notYet.find(({ steps }) => steps.includes(step))
  return found === undefined ? false : `not yet: ${found.reason}`
}

describe('skepd answers as the recorded dockerd did', () => {
  const recording = readRecording()
  let skepd: Skepd | undefined
  let differences: readonly Difference[] = []

  before(async () => {
    skepd = await Skepd.start()
    const daemon = skepd
    const target = {
      listenAddr: `127.0.0.1:${await freePort()}`,
      request: (...args: Parameters<Skepd['request']>) => daemon.request(...args),
    }
    const possible = script.filter(({ name }) => skipped(name) === false)
    differences = compareRuns(recording.exchanges, await runScript(target, possible))
  })
  after(() => skepd?.stop())

  for (const { name } of script) {
    test(name, { skip: skipped(name) }, () => {
      const unexpected = differences.filter((each) => each.step === name && acceptedAs(each) === undefined)
      assert.equal(unexpected.map(formatDifference).join('\n'), '')
    })
  }

  test('every accepted difference occurs', () => {
    const seen = new Set(differences.map((each) => acceptedAs(each)?.name))
    const unseen = acceptedDifferences.filter(({ name }) => !seen.has(name)).map(({ name }) => name)
    assert.deepEqual(unseen, [])
  })
})

test('the recording covers the script', () => {
  const names = script.map(({ name }) => name)
  assert.deepEqual(
    readRecording().exchanges.map(({ name }) => name),
    names,
  )
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.length >= 80)
})

test('every accepted difference is in docs/differences.md', () => {
  const table = readFileSync('docs/differences.md', 'utf8')
  const rows = [...table.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((match) => match[1] ?? '')
  assert.deepEqual(rows.toSorted(), [...acceptedDifferences, ...notYet].map(({ name }) => name).toSorted())
})

test('dockerd still answers as recorded', { skip: needs('engine') }, async (t) => {
  const recording = readRecording()
  const now = await recordDockerd()
  if (now.engine !== recording.engine) {
    t.skip(`skipped: needs dockerd ${recording.engine}, found ${now.engine}`)
    return
  }
  assert.equal(compareRuns(recording.exchanges, now.exchanges).map(formatDifference).join('\n'), '')
})
