import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ServiceSpecSchema,
  SwarmSpecSchema,
  canonical,
  componentName,
} from '../../../src/model/spec/index.js'

test('canonical form: zero values, order and unknown members', () => {
  const sent = {
    Mode: { Replicated: { Replicas: 0 } },
    Labels: { b: '2', a: '1' },
    Name: 'x',
    Nonsense: 1,
    TaskTemplate: {
      Resources: { Limits: {}, SwapBytes: 0 },
      ContainerSpec: {
        TTY: false,
        Image: '',
        Env: [],
        Labels: {},
        DNSConfig: {},
        Init: false,
        Privileges: {},
        Secrets: [{ SecretID: 'a' }],
        Mounts: [{ ReadOnly: false, TmpfsOptions: { Options: [['size', '1'], ['ro']] } }],
      },
    },
  }
  assert.equal(
    JSON.stringify(canonical(ServiceSpecSchema, sent)),
    JSON.stringify({
      Name: 'x',
      Labels: { a: '1', b: '2' },
      TaskTemplate: {
        ContainerSpec: {
          Privileges: { NoNewPrivileges: false },
          Init: false,
          Mounts: [{ TmpfsOptions: { Options: [['size', '1'], ['ro']] } }],
          DNSConfig: {},
          Secrets: [{ SecretID: 'a', SecretName: '' }],
        },
        Resources: { Limits: {}, SwapBytes: 0 },
        ForceUpdate: 0,
      },
      Mode: { Replicated: { Replicas: 0 } },
    }),
  )
})

test('canonical form is stable, and leaves what it got alone', () => {
  const sent = Object.freeze({ Labels: Object.freeze({ b: '', a: '' }) })
  const once = canonical(ServiceSpecSchema, sent)
  assert.deepEqual(canonical(ServiceSpecSchema, once), once)
  assert.deepEqual(once.Labels, { a: '', b: '' })
})

test('a label called __proto__ is a label', () => {
  const labels = JSON.parse('{"__proto__":"x"}') as Record<string, string>
  const { Labels } = canonical(ServiceSpecSchema, { Labels: labels })
  assert.equal(JSON.stringify(Labels), '{"__proto__":"x"}')
})

test('structs that share a Go name have names of their own as components', () => {
  assert.equal(JSON.parse(JSON.stringify(SwarmSpecSchema)).title, 'Spec')
  assert.equal(componentName(SwarmSpecSchema), 'SwarmSpec')
  assert.equal(componentName(ServiceSpecSchema), 'ServiceSpec')
})
