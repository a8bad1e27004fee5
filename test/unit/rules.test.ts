import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

test('each rule of docs/rules.md has a test or a difference, and each numbered test a rule', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/rules.mjs', '--check'], {
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  assert.equal(status, 0)
})
