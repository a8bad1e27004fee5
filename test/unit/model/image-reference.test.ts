import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseImageReference } from '../../../src/model/image-reference.js'

const digest = `sha256:${'a'.repeat(64)}`

test('references are spelled out', () => {
  const cases = {
    busybox: { domain: 'docker.io', path: 'library/busybox' },
    'busybox:1.2': { domain: 'docker.io', path: 'library/busybox', tag: '1.2' },
    'index.docker.io/a/b': { domain: 'docker.io', path: 'a/b' },
    'a/b': { domain: 'docker.io', path: 'a/b' },
    'localhost/b': { domain: 'localhost', path: 'b' },
    'host:5000/a/b:t': { domain: 'host:5000', path: 'a/b', tag: 't' },
    'my.reg/a__b-c': { domain: 'my.reg', path: 'a__b-c' },
    '[::1]:5000/a': { domain: '[::1]:5000', path: 'a' },
    [`busybox:1@${digest}`]: { domain: 'docker.io', path: 'library/busybox', tag: '1', digest },
    [`busybox@${digest}`]: { domain: 'docker.io', path: 'library/busybox', digest },
  }
  for (const [text, reference] of Object.entries(cases)) {
    assert.deepEqual(parseImageReference(text), reference, text)
  }
})

test('what is no reference', () => {
  const texts = [
    '',
    'BAD Image',
    'Busybox',
    'a//b',
    'a:',
    ':a',
    'a/',
    'a@sha256:abc',
    '-a',
    'a_-',
    'a'.repeat(256),
  ]
  for (const text of [...texts, 'a'.repeat(64), `a@${digest}@${digest}`, 'a:b:c', 'a'.repeat(63) + ' ']) {
    assert.equal(parseImageReference(text), undefined, text)
  }
})
