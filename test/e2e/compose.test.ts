import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { Dockerd } from '../lib/dockerd.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { importNodeImages } from '../lib/node-image.js'

const project = projectFolder(dirname(fileURLToPath(import.meta.url)))
const composeTimeoutMs = 300_000

function projectFolder(from: string): string {
  let folder = from
  while (!existsSync(join(folder, 'docker-compose.yml'))) folder = dirname(folder)
  return folder
}

/** Runs a command to its end; stdout. It must succeed. */
function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd: project, timeout: composeTimeoutMs })
    let stdout = ''
    let all = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      all += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (all += text))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${command} ${args.join(' ')}: exit ${code}\n${all.slice(-4000)}`))
    })
  })
}

test(
  'docker compose up: three managers and two workers',
  { skip: needs('engine', 'cli', 'compose') },
  async (t) => {
    const dockerd = await Dockerd.start()
    t.after(() => dockerd.stop())
    const tags = { build: 'skep-test-build:latest', runtime: 'skep-test-runtime:latest' }
    await importNodeImages(dockerd, tags, join(project, 'node_modules'))
    const compose = (...args: string[]) =>
      run('docker-compose', ['--project-name', 'skeptest', ...args], {
        ...process.env,
        DOCKER_HOST: dockerd.host,
        // Its own builder, which needs no plugin.
        COMPOSE_DOCKER_CLI_BUILD: '0',
        SKEP_BUILD_IMAGE: tags.build,
        SKEP_RUNTIME_IMAGE: tags.runtime,
      })
    /** The stock CLI at a published port, from inside the engine's network. */
    const docker = (port: number, ...args: string[]) =>
      run(...dockerd.inNetwork('docker', '--host', `tcp://127.0.0.1:${port}`, ...args))
    const nodes = async (port: number) =>
      (await docker(port, 'node', 'ls', '--format', '{{.Hostname}} {{.Status}} {{.ManagerStatus}}'))
        .trim()
        .split('\n')
        .map((line) => line.trim().replace(/ (Leader|Reachable)$/, ' manager'))
        .sort()
    const all = [
      'manager1 Ready manager',
      'manager2 Ready manager',
      'manager3 Ready manager',
      'worker1 Ready',
      'worker2 Ready',
    ]

    await t.test('the image is built', () => compose('build', 'manager1').then(() => undefined))

    await t.test('up makes one swarm of them, which every manager shows', async () => {
      await compose('up', '-d')
      await eventually('all nodes to be ready', async () => (await nodes(2371)).join() === all.join(), 60_000)
      assert.deepEqual(await nodes(2372), all)
      assert.deepEqual(await nodes(2373), all)
    })

    await t.test('a service runs', async () => {
      await docker(
        2372,
        'service',
        'create',
        '-d',
        '--name',
        'web',
        '--replicas',
        '5',
        'busybox',
        'sleep',
        '10000',
      )
      await eventually('five tasks', async () => {
        return (await docker(2373, 'service', 'ls', '--format', '{{.Replicas}}')).trim() === '5/5'
      })
    })

    await t.test('down and up again: the same swarm', async () => {
      await compose('down')
      await compose('up', '-d')
      await eventually('all nodes to be back', async () => (await nodes(2371)).join() === all.join(), 60_000)
      assert.match(await docker(2373, 'service', 'ls', '--format', '{{.Name}}'), /^web$/m)
      await compose('down', '--volumes')
    })
  },
)
