import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  nodeMatches,
  parseConstraints,
  tryParseConstraints,
  type ConstrainedNode,
} from '../../../src/model/constraint.js'

const node: ConstrainedNode = {
  id: 'ABC123',
  spec: { Labels: { Zone: 'eu-1', zone: 'us' } },
  role: 'manager',
  description: {
    Hostname: 'Box',
    Platform: { OS: 'linux', Architecture: 'x86_64' },
    Engine: { Labels: { disk: 'ssd' } },
  },
  status: { state: 'ready', message: '', addr: '10.1.2.3' },
}

const matches = (...expressions: string[]) => nodeMatches(parseConstraints(expressions), node)

const holding = [
  'node.id==abc123',
  'NODE.ID == ABC123',
  'node.id!=abc12',
  'node.hostname==box',
  'node.role==manager',
  'node.role!=worker',
  'node.platform.os==Linux',
  'node.platform.arch==x86_64',
  'node.platform.arch!=amd64',
  'node.labels.Zone==EU-1',
  'node.labels.zone==us',
  'NODE.LABELS.zone==us',
  'node.labels.missing!=x',
  'engine.labels.disk==ssd',
  'engine.labels.missing!=ssd',
  'node.ip==10.1.2.3',
  'node.ip==10.1.0.0/16',
  'node.ip!=10.2.0.0/16',
]
const failing = [
  'node.id==abc',
  'node.id!=abc123',
  'node.platform.arch==amd64',
  'node.labels.ZONE==us',
  'node.labels.missing==x',
  'node.hostname==b.*',
  'node.ip==10.1.2.4',
  'node.ip==nonsense',
  'node.ip!=nonsense',
  'node.ip!=10.1.0.0/99',
  'node.labels.==x',
  'node.labels.!=x',
  'nobody.knows==x',
  'nobody.knows!=x',
]
for (const expression of holding)
  test(`11.1 holds: ${expression}`, () => assert.equal(matches(expression), true))
for (const expression of failing)
  test(`11.1 does not hold: ${expression}`, () => assert.equal(matches(expression), false))

test('11.1 all must hold, and none at all do', () => {
  assert.equal(matches('node.role==manager', 'node.hostname==box'), true)
  assert.equal(matches('node.role==manager', 'node.hostname==other'), false)
  assert.equal(matches(), true)
})

test('11.2 a node that has not reported yet has empty values', () => {
  const { description: _, ...silent } = node
  assert.equal(nodeMatches(parseConstraints(['node.hostname!=x', 'engine.labels.a!=b']), silent), true)
  assert.equal(nodeMatches(parseConstraints(['node.hostname==x']), silent), false)
})

test('11.3 an expression is split once, and its sides are trimmed', () => {
  assert.deepEqual(parseConstraints(['  node.id  !=  a b ']), [
    { key: 'node.id', operator: '!=', value: 'a b' },
  ])
})

test('11.3 what cannot be read', () => {
  const cases = {
    foo: 'constraint expected one operator from ==, !=',
    'node.id=x': 'constraint expected one operator from ==, !=',
    '1x==a': "key '1x' is invalid",
    'a==b': "key 'a' is invalid",
    'a!=b==c': "key 'a!=b' is invalid",
    'node.id==': "value '' is invalid",
    'node.id==a;b': "value 'a;b' is invalid",
  }
  for (const [expression, text] of Object.entries(cases)) {
    assert.throws(() => parseConstraints([expression]), {
      code: 'Unknown',
      message: `rpc error: code = Unknown desc = ${text}`,
    })
    assert.equal(tryParseConstraints([expression]), undefined)
  }
  assert.deepEqual(tryParseConstraints(undefined), [])
})
