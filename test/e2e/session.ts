import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { DockerCli } from '../lib/docker-cli.js'
import { eventually } from '../lib/eventually.js'

const id = /^[0-9a-z]{25}\n$/

/**
 * What a newcomer types after `npm start`, and what must come back: the whole life of services, secrets,
 * configs, networks, stacks and the node, by the stock CLI. The same on every engine.
 * @param realContainers whether tasks are processes whose output and files can be looked at.
 */
export async function session(t: TestContext, docker: DockerCli, realContainers: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skep-session-'))
  const file = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }
  const tasks = (service: string, ...filters: string[]) =>
    docker
      .run([
        'service',
        'ps',
        service,
        '--format',
        '{{.Name}} {{.DesiredState}} {{.CurrentState}}',
        ...filters.flatMap((filter) => ['-f', filter]),
      ])
      .then(({ stdout }) =>
        stdout
          .trim()
          .split('\n')
          .filter((line) => line !== ''),
      )
  const running = (service: string, count: number) =>
    eventually(`${count} running tasks of ${service}`, async () => {
      const lines = await tasks(service, 'desired-state=running')
      return lines.length === count && lines.every((line) => line.includes(' Running Running ')) && lines
    })

  await t.test('swarm init', async () => {
    assert.match(await docker.ok('info --format {{.Swarm.LocalNodeState}}'), /^inactive\n/)
    assert.match(await docker.fails('node ls'), /This node is not a swarm manager\. Use "docker swarm init"/)
    const printed = await docker.ok('swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:0')
    assert.match(printed, /^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\./)
    assert.match(printed, /docker swarm join --token SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25} 127\.0\.0\.1:\d+/)
    assert.match(await docker.fails('swarm init'), /This node is already part of a swarm/)
    assert.match(await docker.ok('swarm join-token -q worker'), /^SWMTKN-1-/)
    const before = await docker.ok('swarm join-token -q worker')
    assert.match(await docker.ok('swarm join-token --rotate -q worker'), /^SWMTKN-1-/)
    assert.notEqual(await docker.ok('swarm join-token -q worker'), before)
  })

  await t.test('node ls, node inspect, info', async () => {
    await eventually('the node to be ready', async () =>
      / Ready +Active +Leader /.test(await docker.ok('node ls')),
    )
    assert.match(
      await docker.ok('node ls'),
      /^ID +HOSTNAME +STATUS +AVAILABILITY +MANAGER STATUS +ENGINE VERSION\n[0-9a-z]{25} \* /,
    )
    assert.match(await docker.ok('node inspect self --pretty'), /Raft Status:\t\tReachable\n Leader:\t\tYes/)
    const info = await docker.ok('info')
    assert.match(info, /Swarm: active\n {2}NodeID: [0-9a-z]{25}\n {2}Is Manager: true/)
    assert.match(info, /Managers: 1\n {2}Nodes: 1/)
    assert.match(await docker.fails('node inspect nosuch'), /node nosuch not found/)
  })

  await t.test('service create --replicas 3 waits and shows its progress', async () => {
    const { code, stdout } = await docker.run([
      'service',
      'create',
      '--name',
      'web',
      '--replicas',
      '3',
      // sleep ignores SIGTERM as the first process of a container.
      '--stop-signal',
      'SIGKILL',
      '--update-monitor',
      '1s',
      '--rollback-monitor',
      '1s',
      '--env',
      'A=1',
      'busybox:latest',
      'sleep',
      '100000',
    ])
    assert.equal(code, 0)
    assert.match(stdout, /^[0-9a-z]{25}\noverall progress: 0 out of 3 tasks\n/)
    assert.match(
      stdout,
      /overall progress: 3 out of 3 tasks\n(verify: Waiting 1 seconds to verify that tasks are stable\.\.\.\n)+/,
    )
    assert.match(stdout, /verify: Service [0-9a-z]{25} converged\n$/)
  })

  await t.test('service ls, ps, inspect', async () => {
    assert.match(
      await docker.ok('service ls'),
      /^ID +NAME +MODE +REPLICAS +IMAGE +PORTS\n[0-9a-z]{12} +web +replicated +3\/3 +busybox:latest +\n$/,
    )
    assert.deepEqual(names(await running('web', 3)), ['web.1', 'web.2', 'web.3'])
    const [inspected] = (await docker.json('service inspect web')) as {
      Spec: { Mode: unknown; Name: string }
    }[]
    assert.deepEqual([inspected?.Spec.Name, inspected?.Spec.Mode], ['web', { Replicated: { Replicas: 3 } }])
    const pretty = await docker.ok('service inspect --pretty web')
    assert.match(pretty, /Service Mode:\tReplicated\n Replicas:\t3\n/)
    assert.match(pretty, /Env:\t\tA=1/)
    assert.match(await docker.fails('service ps nosuch'), /no such service: nosuch/)
    assert.match(await docker.fails('service inspect nosuch'), /no such service: nosuch/)
    assert.match(
      await docker.fails('service create --name web busybox'),
      /name conflicts with an existing object: service web already exists/,
    )
  })

  await t.test('scale', async () => {
    const grown = await docker.ok('service scale web=5')
    assert.match(grown, /web scaled to 5\n/)
    assert.match(grown, /overall progress: 5 out of 5 tasks/)
    await running('web', 5)
    assert.match(await docker.ok('service scale web=2'), /overall progress: 2 out of 2 tasks/)
    assert.deepEqual(names(await running('web', 2)), ['web.1', 'web.2'])
    await eventually('the other tasks to be gone', async () => (await tasks('web')).length === 2)
  })

  await t.test('update --env-add, --image, --force; rollback', async () => {
    assert.match(await docker.ok('service update --env-add B=2 web'), /overall progress: 2 out of 2 tasks/)
    // The CLI keeps the variables in a map: they come in no order.
    assert.match(await docker.ok('service inspect --pretty web'), /Env:\t\t(A=1 B=2|B=2 A=1)/)
    await eventually(
      'the old tasks to be in the history',
      async () => (await tasks('web', 'desired-state=shutdown')).length === 2,
    )
    assert.match(await docker.ok('service update --image busybox:other web'), /converged/)
    assert.match(await docker.ok('service ls'), /busybox:other/)
    assert.match(await docker.ok('service update --force web'), /converged/)
    const rolledBack = await docker.ok('service rollback web')
    assert.match(rolledBack, /^web\nrollback: manually requested rollback\n/)
    assert.match(rolledBack, /overall progress: rolling back update: 2 out of 2 tasks/)
    await running('web', 2)
    await eventually('the end of the rollback', async () =>
      /State:\t\trollback_completed/.test(await docker.ok('service inspect --pretty web')),
    )
  })

  await t.test('service logs', async () => {
    const args = realContainers
      ? ['busybox:latest', 'sh', '-c', 'echo hello; exec sleep 100000']
      : ['--container-label', 'skep.sim.log=hello@100ms', 'busybox:latest']
    await docker.run(['service', 'create', '-d', '--name', 'talker', ...args])
    await running('talker', 1)
    await eventually('a line', async () =>
      /^talker\.1\.[0-9a-z]{12}@\S+ +\| hello\n/.test(await docker.ok('service logs talker')),
    )
    assert.match(await docker.ok('service logs --raw --tail 1 talker'), /^hello\n$/)
    assert.match(await docker.ok('service logs -t talker'), /^\d{4}-\d\d-\d\dT[\d:.]+Z talker\.1/)
    assert.match(await docker.fails('service logs nosuch'), /no such task or service: nosuch/)
  })

  await t.test('secrets and configs, created, listed, used, guarded', async () => {
    assert.match(await docker.ok(`secret create -l a=b demo-sec ${file('s', 'top secret')}`), id)
    assert.match(await docker.ok(`config create demo-conf ${file('c', 'conf data')}`), id)
    assert.match(await docker.ok('secret ls'), /demo-sec/)
    assert.match(await docker.ok('config ls'), /demo-conf/)
    assert.ok(!(await docker.ok('secret inspect demo-sec')).includes('Data'))
    assert.match(await docker.ok('config inspect --pretty demo-conf'), /Data:\nconf data/)
    assert.match(
      await docker.fails(`secret create demo-sec ${file('s2', 'x')}`),
      /secret demo-sec already exists/,
    )
    const script = 'cat /run/secrets/demo-sec /etc/c; echo; exec sleep 100000'
    await docker.run([
      'service',
      'create',
      '-d',
      '--name',
      'reader',
      '--secret',
      'demo-sec',
      '--config',
      'source=demo-conf,target=/etc/c',
      'busybox:latest',
      'sh',
      '-c',
      script,
    ])
    await running('reader', 1)
    if (realContainers) {
      await eventually(
        'the contents',
        async () => (await docker.ok('service logs --raw reader')) === 'top secretconf data\n',
      )
    }
    assert.match(
      await docker.fails('secret rm demo-sec'),
      /secret 'demo-sec' is in use by the following service: reader/,
    )
    assert.equal(await docker.ok('service rm reader'), 'reader\n')
    assert.equal(await docker.ok('secret rm demo-sec'), 'demo-sec\n')
    assert.equal(await docker.ok('config rm demo-conf'), 'demo-conf\n')
    assert.match(await docker.fails('secret rm demo-sec'), /secret demo-sec not found/)
  })

  await t.test('overlay network and published port', async () => {
    assert.match(await docker.ok('network create -d overlay --attachable demo-net'), id)
    assert.match(await docker.ok('network ls'), /demo-net +overlay +swarm/)
    assert.match(await docker.ok('network ls'), /ingress +overlay +swarm/)
    const [network] = (await docker.json('network inspect demo-net')) as {
      IPAM: { Config: { Subnet: string }[] }
    }[]
    assert.match(network?.IPAM.Config[0]?.Subnet ?? '', /^10\.\d+\.\d+\.0\/24$/)
    await docker.run([
      'service',
      'create',
      '-d',
      '--name',
      'front',
      '--network',
      'demo-net',
      '--publish',
      '8099:80',
      'busybox:latest',
      'sleep',
      '100000',
    ])
    await running('front', 1)
    assert.match(await docker.ok('service ls'), /\*:8099->80\/tcp/)
    const [front] = (await docker.json('service inspect front')) as { Endpoint: { VirtualIPs: unknown[] } }[]
    assert.equal(front?.Endpoint.VirtualIPs.length, 2)
    assert.match(
      await docker.fails('service create -d --name other --publish 8099:80 busybox'),
      /port '8099' is already in use by service 'front' \([0-9a-z]{25}\) as an ingress port/,
    )
    assert.match(await docker.fails('network rm demo-net'), /is in use by service/)
    await docker.ok('service rm front')
    await eventually(
      'the network to be free',
      async () => (await docker.run(['network', 'rm', 'demo-net'])).code === 0,
    )
  })

  await t.test('drain, active, labels and constraints', async () => {
    assert.match(
      await docker.ok('node update --availability drain self'.replace('self', await selfId(docker))),
      /\n$/,
    )
    await eventually('a reason', async () =>
      (await docker.ok('service ps web --no-trunc --format {{.Error}}')).includes(
        'no suitable node (1 node not available for new tasks)',
      ),
    )
    await docker.ok(`node update --availability active ${await selfId(docker)}`)
    await running('web', 2)
    await docker.run([
      'service',
      'create',
      '-d',
      '--name',
      'picky',
      '--constraint',
      'node.labels.zone==a',
      'busybox:latest',
      'sleep',
      '100000',
    ])
    await eventually('a reason', async () =>
      (await docker.ok('service ps picky --no-trunc --format {{.Error}}')).includes(
        'no suitable node (scheduling constraints not satisfied on 1 node)',
      ),
    )
    await docker.ok(`node update --label-add zone=a ${await selfId(docker)}`)
    await running('picky', 1)
  })

  await t.test('stack deploy of two services', async () => {
    const compose = file('compose.yml', stack)
    const created = await docker.ok(`stack deploy --detach=true -c ${compose} shop`)
    assert.match(created, /Creating network shop_default\n/)
    assert.match(created, /Creating service shop_front\n/)
    await running('shop_front', 2)
    await running('shop_back', 1)
    assert.match(await docker.ok('stack ls'), /shop +2/)
    assert.match(await docker.ok('stack services shop'), /shop_front +replicated +2\/2/)
    assert.match(await docker.ok('stack ps shop'), /shop_back\.1/)
    assert.match(
      await docker.ok(`stack deploy --detach=true -c ${compose} shop`),
      /Updating service shop_front/,
    )
    const removed = await docker.ok('stack rm shop')
    assert.match(
      removed,
      /Removing service shop_back\nRemoving service shop_front\nRemoving secret shop_token\nRemoving config shop_settings\nRemoving network shop_default\n$/,
    )
    await eventually(
      'the stack to be gone',
      async () => !(await docker.ok('network ls')).includes('shop_default'),
    )
    assert.ok(!(await docker.ok('service ls')).includes('shop_'))
  })

  await t.test('events', async () => {
    const since = Math.floor(Date.now() / 1000)
    await docker.ok('service create -d --name eventful --replicas 0 busybox')
    await docker.ok('service rm eventful')
    const events = await eventually('the events', async () => {
      const printed = await docker.ok(
        `events --since ${since} --until ${Math.floor(Date.now() / 1000) + 1} --filter type=service --filter service=eventful`,
      )
      return printed.includes('service remove') && printed
    })
    assert.match(events, /service create [0-9a-z]{25} \(name=eventful\)/)
  })

  await t.test('service rm leaves nothing behind', async () => {
    await docker.ok('service rm web talker picky')
    assert.equal((await docker.ok('service ls -q')).trim(), '')
    await eventually('the tasks to be gone', async () => (await docker.ok('node ps -q')).trim() === '')
    await eventually('the containers to be gone', async () => (await docker.ok('ps -aq')).trim() === '')
  })

  await t.test('swarm leave --force', async () => {
    assert.match(
      await docker.fails('swarm leave'),
      /Removing the last manager erases all current state of the swarm/,
    )
    assert.equal(await docker.ok('swarm leave --force'), 'Node left the swarm.\n')
    assert.match(await docker.ok('info --format {{.Swarm.LocalNodeState}}'), /^inactive\n/)
    assert.match(await docker.fails('swarm leave'), /This node is not part of a swarm/)
  })

  rmSync(folder, { recursive: true, force: true })
}

async function selfId(docker: DockerCli): Promise<string> {
  return (await docker.ok('info --format {{.Swarm.NodeID}}')).trim()
}

const stack = `
services:
  front:
    image: busybox:latest
    command: sleep 100000
    deploy:
      replicas: 2
    secrets: [token]
  back:
    image: busybox:latest
    command: sleep 100000
    environment:
      MODE: production
    configs:
      - source: settings
        target: /etc/settings
secrets:
  token:
    file: ./s
configs:
  settings:
    file: ./c
`

/** Task names, in order, of the lines that `tasks` gives. */
function names(lines: readonly string[]): string[] {
  return lines.map((line) => line.split(' ')[0] ?? '').sort()
}
