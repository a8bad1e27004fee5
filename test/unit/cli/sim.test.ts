import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  chooseNodes,
  parseChaos,
  parseChaosLine,
  type ChaosStep,
  type Presence,
} from '../../../src/cli/sim/chaos.js'
import { parseSimOptions } from '../../../src/cli/sim/options.js'
import { seededRandomInt } from '../../../src/cli/sim/seeded.js'

const names = ['sim-1', 'sim-2', 'sim-3', 'sim-4', 'sim-5']
const needed = ['--nodes', '3', '--join-token', 'SWMTKN-1-x', '--manager', '10.0.0.1']

test('flags', () => {
  assert.equal(parseSimOptions(['--help']), 'help')
  assert.deepEqual(parseSimOptions(needed), {
    names: ['sim-1', 'sim-2', 'sim-3'],
    token: 'SWMTKN-1-x',
    manager: { host: '10.0.0.1', port: 2377 },
    shape: { cpus: 4, memoryBytes: 8 * 2 ** 30, labels: [] },
    seed: 1,
    chaos: [],
    format: 'text',
    debug: false,
  })
  const more = ['--cpus', '0.5', '--memory', '512MiB', '--label', 'a=b', '--label', 'c=d=e', '--seed', '9']
  const options = parseSimOptions([...needed, ...more, '--format', 'json'])
  assert.ok(options !== 'help')
  assert.deepEqual(options.shape, { cpus: 0.5, memoryBytes: 512 * 2 ** 20, labels: ['a=b', 'c=d=e'] })
  assert.equal(options.seed, 9)
  assert.equal(options.format, 'json')
})

test('wrong flags are one clear line', () => {
  const cases: readonly (readonly [args: readonly string[], text: RegExp])[] = [
    [[], /^--nodes is needed/],
    [['--nodes', '3', '--manager', 'x'], /^--join-token is needed/],
    [['--nodes', '3', '--join-token', 'x'], /^--manager is needed/],
    [[...needed, '--nodes', '0'], /^invalid --nodes "0": must be a whole number, at least 1$/],
    [[...needed, '--nodes', '1.5'], /^invalid --nodes "1.5"/],
    [[...needed, '--manager', 'host:x'], /^invalid --manager "host:x": must be HOST:PORT$/],
    [[...needed, '--cpus', 'many'], /^invalid --cpus "many"/],
    [[...needed, '--memory', '5q'], /^invalid --memory "5q"/],
    [[...needed, '--label', 'zone'], /^invalid --label "zone": must be KEY=VALUE$/],
    [[...needed, '--format', 'yaml'], /^invalid --format "yaml": must be text or json$/],
    [[...needed, '--colour'], /^Unknown option '--colour'$/],
    [[...needed, 'more'], /^Unexpected argument 'more'$/],
    [[...needed, '--chaos', '/no/such/file'], /^cannot use the chaos file \/no\/such\/file: ENOENT/],
  ]
  for (const [args, text] of cases)
    assert.throws(() => parseSimOptions(args), { message: text }, args.join(' '))
})

test('a chaos file comes in the order of its times', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'skep-chaos-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'chaos.json')
  writeFileSync(
    path,
    '[{"atMs":20,"action":"return","nodes":2},{"atMs":10,"action":"crash","nodes":["sim-3"]}]',
  )
  const options = parseSimOptions([...needed, '--chaos', path])
  assert.ok(options !== 'help')
  assert.deepEqual(options.chaos, [
    { atMs: 10, action: 'crash', nodes: ['sim-3'] },
    { atMs: 20, action: 'return', nodes: 2 },
  ])
})

test('wrong chaos names the step', () => {
  const good = { atMs: 1, action: 'crash', nodes: 1 }
  const cases: readonly (readonly [value: unknown, text: RegExp])[] = [
    [{}, /^it must be a JSON list/],
    [[good, { ...good, action: 'explode' }], /^step 2 is not /],
    [[{ ...good, atMs: -1 }], /^step 1 is not /],
    [[{ ...good, nodes: [] }], /^step 1 is not /],
    [[{ ...good, afterMs: 3 }], /^step 1 is not /],
    [[{ ...good, nodes: ['sim-6'] }], /^there is no node sim-6$/],
    [[{ ...good, nodes: 6 }], /^there are no 6 nodes$/],
  ]
  for (const [value, text] of cases)
    assert.throws(() => parseChaos(JSON.stringify(value), names), { message: text }, JSON.stringify(value))
  assert.throws(() => parseChaos('[', names), { message: /^invalid JSON: / })
})

test('chaos from stdin has no times', () => {
  const options = parseSimOptions([...needed, '--chaos', '-'])
  assert.equal(options !== 'help' && options.chaos, 'stdin')
  assert.deepEqual(parseChaosLine('{"action":"crash","nodes":2}', names), { action: 'crash', nodes: 2 })
  for (const [line, text] of [
    ['crash', /^invalid JSON: /],
    ['{"action":"crash","nodes":2,"atMs":1}', /^not \{"action"/],
    ['{"action":"crash","nodes":["sim-9"]}', /^there is no node sim-9$/],
  ] as const)
    assert.throws(() => parseChaosLine(line, names), { message: text }, line)
})

test('who is befallen: the same for the same seed, and only whom it can befall', () => {
  const crash: ChaosStep = { atMs: 0, action: 'crash', nodes: 2 }
  const up = new Map<string, Presence>(names.map((name) => [name, 'up']))
  const chosen = (seed: number) => chooseNodes(crash, up, seededRandomInt(seed))
  assert.deepEqual(chosen(3), chosen(3))
  const seen = new Set(Array.from({ length: 50 }, (_, seed) => chosen(seed)).flat())
  assert.deepEqual([...seen].sort(), names)
  for (let seed = 0; seed < 50; seed++) assert.equal(new Set(chosen(seed)).size, 2, `seed ${seed}`)

  const some = new Map(up).set('sim-2', 'crashed').set('sim-4', 'disconnected')
  const back = chooseNodes({ ...crash, action: 'return', nodes: 5 }, some, seededRandomInt(1))
  assert.deepEqual([...back].sort(), ['sim-2', 'sim-4'])
  const more = chooseNodes({ ...crash, nodes: 5 }, some, seededRandomInt(1))
  assert.deepEqual([...more].sort(), ['sim-1', 'sim-3', 'sim-5'])
  assert.deepEqual(chooseNodes({ ...crash, nodes: ['sim-2', 'sim-1'] }, some, seededRandomInt(1)), ['sim-1'])
})

test('the generator is spread over its range', () => {
  const randomInt = seededRandomInt(42)
  const counts = Array.from({ length: 10 }, () => 0)
  for (let index = 0; index < 10_000; index++) {
    const value = randomInt(10)
    counts[value] = (counts[value] ?? 0) + 1
  }
  assert.ok(
    counts.every((count) => count > 850 && count < 1150),
    counts.join(),
  )
})
