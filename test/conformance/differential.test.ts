import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Dockerd } from '../lib/dockerd.js'
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

interface Daemons {
  readonly skepd: Skepd
  readonly dockerd?: Dockerd
  readonly listenAddr: string
}

async function onSimulatedEngine(): Promise<Daemons> {
  return { skepd: await Skepd.start(), listenAddr: `127.0.0.1:${await freePort()}` }
}

/** Skepd in dockerd's network, so that the ports are as free as dockerd found them. */
async function onRealEngine(): Promise<Daemons> {
  const dockerd = await Dockerd.start()
  try {
    await dockerd.importBusybox()
    const wrap = (command: string, ...args: string[]) => dockerd.inNetwork(command, ...args)
    return {
      skepd: await Skepd.start({ engine: dockerd.host, wrap }),
      dockerd,
      listenAddr: '127.0.0.1:2377',
    }
  } catch (error) {
    await dockerd.stop()
    throw error
  }
}

function compareWith(start: () => Promise<Daemons>): () => readonly Difference[] {
  let daemons: Daemons | undefined
  let differences: readonly Difference[] = []
  before(async () => {
    daemons = await start()
    const { skepd, listenAddr } = daemons
    const request = (...args: Parameters<Skepd['request']>) => skepd.request(...args)
    const possible = script.filter(({ name }) => skipped(name) === false)
    differences = compareRuns(readRecording().exchanges, await runScript({ listenAddr, request }, possible))
  })
  after(async () => {
    try {
      await daemons?.skepd.stop()
    } finally {
      await daemons?.dockerd?.stop()
    }
  })
  for (const { name } of script) {
    test(name, { skip: skipped(name) }, () => {
      const unexpected = differences.filter((each) => each.step === name && acceptedAs(each) === undefined)
      assert.equal(unexpected.map(formatDifference).join('\n'), '')
    })
  }
  return () => differences
}

describe('skepd on the simulated engine answers as the recorded dockerd did', () => {
  const differences = compareWith(onSimulatedEngine)

  test('every accepted difference occurs', () => {
    const seen = new Set(differences().map((each) => acceptedAs(each)?.name))
    const unseen = acceptedDifferences.filter(({ name }) => !seen.has(name)).map(({ name }) => name)
    assert.deepEqual(unseen, [])
  })
})

describe('skepd on a real engine answers as the recorded dockerd did', { skip: needs('engine') }, () => {
  compareWith(onRealEngine)
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
