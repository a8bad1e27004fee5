import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { DockerCli } from '../lib/docker-cli.js'
import { Dockerd } from '../lib/dockerd.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'
import type { Stage } from './scenarios/actor.js'
import { acceptedScenarios } from './scenarios/accepted.js'
import { play, type Story } from './scenarios/play.js'
import { wrongStep } from './scenarios/steps.js'
import { nodeScenarios, scenarios } from './scenarios/scenarios.js'

interface Theatre extends Stage {
  readonly stop: () => Promise<void>
}

const atATime = 9

/** A dockerd in swarm mode of its own. */
async function openDockerd(): Promise<Theatre> {
  const dockerd = await Dockerd.start()
  await dockerd.importBusybox()
  const docker = new DockerCli(dockerd.host)
  await docker.ok('swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377')
  return {
    docker,
    request: (method, path) => dockerd.request(method, path),
    stop: async () => {
      docker.dispose()
      await dockerd.stop()
    },
  }
}

/** A skepd on an engine of its own. */
async function openSkepd(): Promise<Theatre> {
  const dockerd = await Dockerd.start()
  await dockerd.importBusybox()
  const skepd = await Skepd.start({ engine: dockerd.host })
  const docker = new DockerCli(skepd.host)
  await docker.ok('swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:0')
  return {
    docker,
    request: (method, path) => skepd.request(method, path),
    stop: async () => {
      docker.dispose()
      await skepd.stop()
      await dockerd.stop()
    },
  }
}

async function playAll(open: () => Promise<Theatre>): Promise<ReadonlyMap<string, Story>> {
  const theatre = await open()
  try {
    const services = await play(theatre, scenarios, atATime)
    const node = await play(theatre, nodeScenarios, 1)
    return new Map([...services, ...node])
  } finally {
    await theatre.stop()
  }
}

describe('the same scenarios on dockerd in swarm mode and on skepd', { skip: needs('cli', 'engine') }, () => {
  let docker: ReadonlyMap<string, Story> = new Map()
  let skep: ReadonlyMap<string, Story> = new Map()
  before(async () => {
    ;[docker, skep] = await Promise.all([playAll(openDockerd), playAll(openSkepd)])
  })
  for (const { name } of [...scenarios, ...nodeScenarios]) {
    test(name, () => {
      const [expected, actual] = [docker.get(name), skep.get(name)]
      assert.ok(expected !== undefined && actual !== undefined)
      const accepted = acceptedScenarios.get(name)
      assert.deepEqual(actual.commands, expected.commands)
      assert.deepEqual(expected.slots, accepted?.docker ?? expected.slots)
      assert.deepEqual(actual.slots, accepted?.skep ?? expected.slots)
      for (const [side, { steps }] of [
        ['dockerd', expected],
        ['skepd', actual],
      ] as const) {
        for (const task of steps.values()) assert.equal(wrongStep(task), undefined, side)
      }
    })
  }

  test('the accepted differences stand in docs/differences.md', () => {
    const page = readFileSync('docs/differences.md', 'utf8')
    for (const [scenario, { name }] of acceptedScenarios) assert.ok(page.includes(`\`${name}\``), scenario)
  })
})
