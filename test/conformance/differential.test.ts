import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Dockerd } from '../lib/dockerd.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'
import { acceptedAs, acceptedDifferences } from './accepted-differences.js'
import { compareRuns, formatDifference, type Difference } from './compare.js'
import { readRecording, recordDockerd, stepsOf, type ScriptName } from './recording.js'
import { runScript } from './runner.js'

/** A port of the loopback that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
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

function compareWith(script: ScriptName, start: () => Promise<Daemons>): () => readonly Difference[] {
  let daemons: Daemons | undefined
  let differences: readonly Difference[] = []
  before(async () => {
    daemons = await start()
    const { skepd, dockerd, listenAddr } = daemons
    const target = {
      listenAddr,
      folders: new Map([
        [skepd.dir, 'skepd folder'],
        ...(dockerd === undefined ? [] : [[dockerd.dir, 'engine folder'] as const]),
      ]),
      request: (...args: Parameters<Skepd['request']>) => skepd.request(...args),
    }
    differences = compareRuns(readRecording(script).exchanges, await runScript(target, stepsOf(script)))
  })
  after(async () => {
    try {
      await daemons?.skepd.stop()
    } finally {
      await daemons?.dockerd?.stop()
    }
  })
  for (const { name } of stepsOf(script)) {
    test(name, () => {
      const unexpected = differences.filter((each) => each.step === name && acceptedAs(each) === undefined)
      assert.equal(unexpected.map(formatDifference).join('\n'), '')
    })
  }
  return () => differences
}

describe('skepd on the simulated engine answers as the recorded dockerd did', () => {
  const differences = compareWith('api', onSimulatedEngine)

  test('every accepted difference of the API occurs', () => {
    const seen = new Set(differences().map((each) => acceptedAs(each)?.name))
    const unseen = acceptedDifferences.filter(
      ({ name, engineOnly }) => engineOnly !== true && !seen.has(name),
    )
    assert.deepEqual(unseen, [])
  })
})

describe('skepd on a real engine answers as the recorded dockerd did', { skip: needs('engine') }, () => {
  compareWith('api', onRealEngine)
})

describe('skepd makes the containers that dockerd makes', { skip: needs('engine') }, () => {
  const differences = compareWith('containers', onRealEngine)

  test('every accepted difference of containers occurs', () => {
    const seen = new Set(differences().map((each) => acceptedAs(each)?.name))
    const unseen = acceptedDifferences.filter(
      ({ name, engineOnly }) => engineOnly === true && !seen.has(name),
    )
    assert.deepEqual(unseen, [])
  })
})

for (const script of ['api', 'containers'] as const) {
  test(`the recording covers the script: ${script}`, () => {
    const names = stepsOf(script).map(({ name }) => name)
    assert.deepEqual(
      readRecording(script).exchanges.map(({ name }) => name),
      names,
    )
    assert.equal(new Set(names).size, names.length)
  })

  test(`dockerd still answers as recorded: ${script}`, { skip: needs('engine') }, async (t) => {
    const recording = readRecording(script)
    const now = await recordDockerd(script)
    if (now.engine !== recording.engine) {
      t.skip(`skipped: needs dockerd ${recording.engine}, found ${now.engine}`)
      return
    }
    assert.equal(compareRuns(recording.exchanges, now.exchanges).map(formatDifference).join('\n'), '')
  })
}

test('every accepted difference is in docs/differences.md', () => {
  const page = readFileSync('docs/differences.md', 'utf8')
  const [, section = ''] =
    /^## Against the recorded dockerd$(.*?)^`test\/conformance\/scenarios`/ms.exec(page) ?? []
  const rows = [...section.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((match) => match[1] ?? '')
  assert.deepEqual(rows.toSorted(), acceptedDifferences.map(({ name }) => name).toSorted())
})
