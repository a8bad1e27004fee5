import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { eventually } from '../lib/eventually.js'
import { Skepd } from '../lib/skepd.js'

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'skep-daemon-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Starts a daemon that must refuse, and gives back what it says. */
async function refusal(args: readonly string[]): Promise<string> {
  try {
    const skepd = await Skepd.start({ args })
    await skepd.stop()
  } catch (error) {
    return `${(error as Error).message}\n${String((error as Error).cause)}`
  }
  throw new Error('the daemon started')
}

describe('the daemon', () => {
  test('writes its pid, opens its socket to the group only, reads a configuration file', async (t) => {
    const folder = temporaryFolder(t)
    const pidfile = join(folder, 'skepd.pid')
    const config = join(folder, 'skepd.json')
    writeFileSync(
      config,
      JSON.stringify({ labels: ['rack=7'], 'log-format': 'json', hostname: 'configured' }),
    )
    const skepd = await Skepd.start({ args: ['--pidfile', pidfile, '--config-file', config] })
    t.after(() => skepd.stop())
    assert.equal(readFileSync(pidfile, 'utf8'), String(skepd.pid))
    assert.equal(statSync(skepd.socketPath).mode & 0o777, 0o660)
    const info = (await skepd.request('GET', '/info')).json() as { Name: string; Labels: string[] }
    assert.deepEqual([info.Name, info.Labels], ['configured', ['rack=7']])
    const line =
      skepd
        .log()
        .split('\n')
        .find((text) => text.startsWith('{')) ?? ''
    assert.ok('msg' in (JSON.parse(line) as object))
    assert.equal(await skepd.stop(), 0)
    assert.ok(!existsSync(pidfile))
  })

  test('several listeners answer at once; a taken port is one line and exit 1', async (t) => {
    const skepd = await Skepd.start({ args: ['--host', 'tcp://127.0.0.1:0'] })
    t.after(() => skepd.stop())
    const port = Number(/tcp:\/\/127\.0\.0\.1:(\d+)/.exec(skepd.log())?.[1])
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/_ping`)).text(), 'OK')
    assert.equal((await skepd.request('GET', '/_ping')).text, 'OK')
    const taken = createServer().listen(0, '127.0.0.1')
    t.after(() => taken.close())
    await eventually('the listener', () => taken.address() !== null)
    const address = taken.address()
    const takenPort = typeof address === 'object' && address !== null ? address.port : 0
    const said = await refusal(['--host', `tcp://127.0.0.1:${takenPort}`])
    assert.match(
      said,
      new RegExp(`skepd: cannot listen on tcp://127.0.0.1:${takenPort}: the address is already in use`),
    )
    assert.match(said, /exit.*1/)
  })

  test('unknown flags and insecure addresses are refused', async () => {
    assert.match(await refusal(['--zz']), /skepd: unknown flag: --zz/)
    assert.match(
      await refusal(['--host', 'tcp://0.0.0.0:0']),
      /skepd: refusing to listen on tcp:\/\/0\.0\.0\.0:0/,
    )
    assert.match(await refusal(['--engine', 'unix:///nowhere.sock']), /skepd: .*\/nowhere\.sock/)
  })

  test('what is written stands encrypted on disk, and a secret is nowhere in the log', async (t) => {
    const skepd = await Skepd.start({ args: ['--debug'] })
    t.after(() => skepd.stop())
    await skepd.request('POST', '/swarm/init', {
      body: { ListenAddr: '127.0.0.1:0', AdvertiseAddr: '127.0.0.1' },
    })
    const marker = 'plain-marker-0815'
    const data = Buffer.from(marker).toString('base64')
    const secret = await skepd.request('POST', '/secrets/create', { body: { Name: 's', Data: data } })
    assert.equal(secret.status, 201)
    const { ID: SecretID } = secret.json() as { ID: string }
    const auth = Buffer.from(JSON.stringify({ username: 'u', password: marker })).toString('base64url')
    const File = { Name: 's', UID: '0', GID: '0', Mode: 292 }
    const service = await skepd.request('POST', '/services/create', {
      headers: { 'X-Registry-Auth': auth },
      body: {
        Name: 'web',
        TaskTemplate: {
          ContainerSpec: {
            Image: 'busybox',

            Secrets: [{ SecretID, SecretName: 's', File }],
          },
        },
      },
    })
    assert.equal(service.status, 201, service.text)
    await eventually('the task to run', async () =>
      (await skepd.request('GET', '/tasks')).text.includes('"State":"running"'),
    )
    await skepd.restart('SIGTERM')
    await eventually('the task to be back', async () =>
      (await skepd.request('GET', '/tasks')).text.includes('"State":"running"'),
    )
    const swarm = join(skepd.dataRoot, 'swarm')
    const files = readdirSync(swarm, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    assert.ok(files.some(({ name }) => name.endsWith('.db')))
    for (const file of files) {
      const content = readFileSync(join(file.parentPath, file.name))
      for (const text of [marker, data, auth])
        assert.ok(!content.includes(text), `${file.name} holds ${text}`)
    }
    assert.ok(!skepd.log().includes(marker) && !skepd.log().includes(data))
  })

  test('a second signal ends it at once', async (t) => {
    const skepd = await Skepd.start()
    t.after(() => skepd.stop())
    // Stopped, it takes both signals in one turn when it goes on.
    process.kill(skepd.pid, 'SIGSTOP')
    process.kill(skepd.pid, 'SIGTERM')
    process.kill(skepd.pid, 'SIGINT')
    process.kill(skepd.pid, 'SIGCONT')
    await eventually(
      'the end',
      () => !existsSync(`/proc/${skepd.pid}`) || /second signal|stopped/.test(skepd.log()),
    )
  })

  test('--version and --help', () => {
    const main = new URL('../../src/main.js', import.meta.url).pathname
    assert.match(
      execFileSync(process.execPath, [main, '--version'], { encoding: 'utf8' }),
      /^skepd version \d+\.\d+\.\d+/,
    )
    assert.match(execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' }), /--data-root DIR/)
  })
})
