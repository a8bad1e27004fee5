import assert from 'node:assert/strict'
import { test } from 'node:test'
import { spawnSync } from 'node:child_process'
import { DockerCli } from '../lib/docker-cli.js'
import { Dockerd } from '../lib/dockerd.js'
import { DaemonProcess } from '../lib/daemon-process.js'
import { eventually } from '../lib/eventually.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'

const addresses = ['10.202.0.1', '10.202.0.2']
const ports = [8081, 8082]

/** A cable between the networks of two engines. */
function connect(engines: readonly Dockerd[]): void {
  const [first, second] = engines.map(({ initPid }) => initPid)
  run('ip', [
    'link',
    'add',
    'cable0',
    'netns',
    `${first}`,
    'type',
    'veth',
    'peer',
    'cable0',
    'netns',
    `${second}`,
  ])
  for (const [at, engine] of engines.entries()) {
    run(...engine.inNetwork('ip', 'addr', 'add', `${addresses[at]}/24`, 'dev', 'cable0'))
    run(...engine.inNetwork('ip', 'link', 'set', 'cable0', 'up'))
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr}`)
}

/**
 * Asks for the service again and again until its input ends, as a load balancer does that knows where replicas
 * may be: a request is refused when none of these places takes it. Then prints how many were, of how many.
 */
const client = `
const { connect } = require('node:net')
const places = JSON.parse(process.argv[1])
const ask = ([host, port]) => new Promise((resolve) => {
  const socket = connect({ host, port })
  let text = ''
  socket.setEncoding('utf8').on('data', (piece) => (text += piece))
  socket.on('error', () => resolve(false))
  socket.on('close', () => resolve(text.startsWith('HTTP/1.')))
  socket.write('GET / HTTP/1.0\\r\\n\\r\\n')
})
let over = false
process.stdin.on('end', () => (over = true)).resume()
async function main() {
  let served = 0
  let refused = 0
  while (!over) {
    let answered = false
    for (const place of places) if (!answered) answered = await ask(place)
    if (answered) served++
    else refused++
    if (served === 1) console.error('serving')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  console.log(JSON.stringify({ served, refused }))
}
void main()
`

test(
  '3.8 a drained node loses no request of a service with two replicas',
  { skip: needs('cli', 'engine') },
  async (t) => {
    const engines = await Promise.all([Dockerd.start(), Dockerd.start()])
    t.after(() => Promise.all(engines.map((engine) => engine.stop())))
    connect(engines)
    const nodes = await Promise.all(
      engines.map(async (engine, at) => {
        await engine.importBusybox()
        const wrap = (command: string, ...args: string[]) => engine.inNetwork(command, ...args)
        return Skepd.start({ engine: engine.host, wrap, args: ['--hostname', `node-${at + 1}`] })
      }),
    )
    t.after(() => Promise.all(nodes.map((skepd) => skepd.stop())))
    const [manager, worker] = nodes.map(({ host }) => new DockerCli(host))
    const [engine] = engines
    assert.ok(manager && worker && engine)
    t.after(() => {
      manager.dispose()
      worker.dispose()
    })
    await manager.ok(`swarm init --advertise-addr ${addresses[0]}`)
    const token = (await manager.ok('swarm join-token -q worker')).trim()
    await worker.ok(`swarm join --advertise-addr ${addresses[1]} --token ${token} ${addresses[0]}:2377`)
    await eventually(
      'both nodes to be ready',
      async () => (await manager.ok('node ls')).match(/Ready/g)?.length === 2,
    )

    // Both replicas on the first node.
    await manager.ok('node update --availability pause node-2')
    const flags =
      'service create --name web --replicas 2 --network host --no-resolve-image --stop-signal SIGKILL ' +
      '--update-order start-first --update-monitor 100ms --env PORT=808{{.Task.Slot}} ' +
      '--health-interval 300ms --health-start-period 30s'
    const created = await manager.run([
      ...flags.split(' '),
      '--health-cmd=wget -q -O /dev/null 127.0.0.1:$PORT/passwd',
      'busybox:latest',
      'sh',
      '-c',
      'exec httpd -f -p $PORT -h /etc',
    ])
    assert.equal(created.code, 0, `${created.stdout}${created.stderr}`)
    await manager.ok('node update --availability active node-2')

    const places = addresses.flatMap((address) => ports.map((port) => [address, port]))
    const [command, args] = engine.inNetwork(process.execPath, '-e', client, JSON.stringify(places))
    const asking = new DaemonProcess('client', command, args, process.env, 'pipe')
    t.after(() => asking.signal('SIGKILL'))
    await eventually('the client to be served', () => asking.log().includes('serving'))
    await manager.ok('node update --availability drain node-1')
    await eventually(
      'both replicas to run on the other node, and none on the first',
      async () => {
        const where = async (node: string) =>
          (
            await manager.ok(`node ps ${node} --filter desired-state=running --format {{.CurrentState}}`)
          ).match(/Running/g)?.length ?? 0
        return (await where('node-1')) === 0 && (await where('node-2')) === 2
      },
      30_000,
    )
    asking.child.stdin?.end()
    assert.equal(await asking.exit(), 0, asking.log())
    const { served, refused } = JSON.parse(asking.log().split('\n').at(-2) ?? '') as Record<string, number>
    assert.equal(refused, 0, `${served} requests were served`)
    assert.ok((served ?? 0) > 20)
    const states = await manager.ok(
      'service ps web --format {{.Node}}_{{.DesiredState}} --filter desired-state=shutdown',
    )
    assert.deepEqual(states.trim().split('\n'), ['node-1_Shutdown', 'node-1_Shutdown'])
  },
)
