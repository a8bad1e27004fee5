import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadConfig, type Config } from '../../../src/daemon/config.js'
import { OptionError, parseCommandLine, usage } from '../../../src/daemon/options.js'

const machine = { isRoot: true, environment: {} }

function configOf(...args: string[]): Config {
  const line = parseCommandLine(args)
  assert.equal(line.action, 'run')
  return loadConfig(line.action === 'run' ? line.options : {}, machine)
}

function refused(text: RegExp, ...args: string[]): void {
  assert.throws(
    () => configOf(...args),
    (error) => error instanceof OptionError && text.test(error.message) && !error.message.includes('\n'),
  )
}

function fileWith(json: unknown): string {
  const path = join(mkdtempSync(join(tmpdir(), 'skep-config-')), 'skepd.json')
  writeFileSync(path, typeof json === 'string' ? json : JSON.stringify(json))
  return path
}

describe('flags', () => {
  test('without any, the socket in the data root is served', () => {
    const config = configOf()
    assert.equal(config.dataRoot, '/var/lib/skep')
    assert.deepEqual(config.listeners, [{ kind: 'unix', path: '/var/lib/skep/skepd.sock' }])
    assert.equal(config.logLevel, 'info')
  })

  test('who is not root keeps state in the home directory', () => {
    const line = parseCommandLine([])
    assert.equal(line.action, 'run')
    const config = loadConfig({}, { isRoot: false, environment: { XDG_DATA_HOME: '/home/u/.data' } })
    assert.equal(config.dataRoot, '/home/u/.data/skep')
  })

  test('several hosts; a unix one replaces the default socket', () => {
    const config = configOf('-H', 'tcp://127.0.0.1:2375', '--host=unix:///run/a.sock')
    assert.deepEqual(config.listeners, [
      { kind: 'tcp', host: '127.0.0.1', port: 2375 },
      { kind: 'unix', path: '/run/a.sock' },
    ])
  })

  test('tcp without a port takes 2375', () => {
    assert.deepEqual(configOf('-H', 'tcp://127.0.0.1').listeners[0], {
      kind: 'tcp',
      host: '127.0.0.1',
      port: 2375,
    })
  })

  test('Go-style boolean values', () => {
    assert.equal(configOf('--debug=true').logLevel, 'debug')
    assert.equal(configOf('--debug=false').logLevel, 'info')
  })

  test('a mistake is one line that names it', () => {
    refused(/unknown flag: --zz/, '--zz')
    refused(/takes no arguments, but got: serve/, 'serve')
    refused(/invalid value "x" for --sim-cpus: a whole number is needed/, '--sim-cpus', 'x')
    refused(/invalid --host http:\/\/x: it must be unix/, '-H', 'http://x')
    refused(/the path must be absolute/, '-H', 'unix://a.sock')
    refused(/99999 is not a port/, '-H', 'tcp://127.0.0.1:99999')
    refused(/invalid --log-level "loud"/, '--log-level', 'loud')
    refused(/bad attribute format: x/, '--label', 'x')
    refused(/--tlsverify needs --tlscert/, '--tlsverify')
    refused(/cannot read \/nowhere\.json/, '--config-file', '/nowhere.json')
  })

  test('TCP beyond loopback needs client certificates, or the word of the user', () => {
    refused(/refusing to listen on tcp:\/\/0\.0\.0\.0:2375/, '-H', 'tcp://0.0.0.0:2375')
    assert.equal(configOf('-H', 'tcp://0.0.0.0:2375', '--allow-insecure-tcp').listeners.length, 2)
  })

  test('the help names every flag', () => {
    assert.match(usage(), /--data-root DIR/)
    assert.equal(parseCommandLine(['--help']).action, 'help')
    assert.equal(parseCommandLine(['-v']).action, 'version')
  })
})

describe('configuration file', () => {
  test("dockerd's keys, and the flags' own names", () => {
    const path = fileWith({ hosts: ['tcp://127.0.0.1:1'], labels: ['a=b'], debug: true, 'data-root': '/x' })
    const config = configOf('--config-file', path)
    assert.deepEqual(config.listeners[0], { kind: 'tcp', host: '127.0.0.1', port: 1 })
    assert.deepEqual([config.labels, config.logLevel, config.dataRoot], [['a=b'], 'debug', '/x'])
  })

  test('what stands in both places is refused', () => {
    const path = fileWith({ debug: true })
    refused(/specified both as a flag and in the configuration file: debug/, '-D', '--config-file', path)
  })

  test('unknown keys, wrong types and broken JSON are refused', () => {
    refused(/don't match any configuration option: zz/, '--config-file', fileWith({ zz: 1 }))
    refused(/"hosts" must be a list of strings/, '--config-file', fileWith({ hosts: 'tcp://x' }))
    refused(/invalid JSON/, '--config-file', fileWith('{'))
    refused(/must be a JSON object/, '--config-file', fileWith('[]'))
  })
})
