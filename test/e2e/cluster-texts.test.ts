import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DockerCli } from '../lib/docker-cli.js'
import { Dockerd } from '../lib/dockerd.js'
import { needs } from '../lib/needs.js'
import { Skepd } from '../lib/skepd.js'

/** What one node alone can be asked, in this order. SELF is its name, TOKEN the last join token that was shown. */
const outsideASwarm = [
  'node ls',
  'node inspect self',
  'swarm leave',
  'swarm join-token worker',
  'swarm unlock-key',
  'swarm update --autolock',
  'swarm ca',
  'swarm join --token zz 10.200.0.2:2377',
  'swarm join --token SWMTKN-1-x-y 10.200.0.2:2377',
  'swarm join 10.200.0.2:2377',
  'swarm init --advertise-addr 0.0.0.0',
  'swarm init --advertise-addr nosuch0',
  'swarm init --listen-addr nosuch0',
  'swarm init --data-path-addr 1.2.3.4:5',
  'swarm init --data-path-port 80',
  'swarm init --default-addr-pool 10.0.0.0/8 --default-addr-pool-mask-length 30',
  'swarm init --availability bogus',
  'swarm init --cert-expiry 10m',
]

const insideASwarm = [
  'swarm init',
  'swarm init',
  'swarm init --advertise-addr 10.200.0.2',
  'swarm join-token worker',
  'swarm join --token TOKEN 10.200.0.2:2377',
  'swarm join --token zz 10.200.0.2:2377',
  'swarm join-token manager',
  'swarm join-token bogus',
  'swarm join-token --rotate worker',
  'swarm join-token --rotate manager',
  'swarm join-token --rotate -q worker',
  'node ls --format {{.Hostname}}|{{.Status}}|{{.Availability}}|{{.ManagerStatus}}|{{.TLSStatus}}',
  'node promote self',
  'node promote SELF',
  'node demote SELF',
  'node demote self',
  'node update --role worker SELF',
  'node update --availability bogus SELF',
  'node update --availability drain SELF',
  'node update --label-add a=b SELF',
  'node rm SELF',
  'node rm --force SELF',
  'node rm nosuch',
  'node promote nosuch',
  'node demote nosuch',
  'node inspect nosuch',
  'node update --label-add a=b nosuch',
  'node ps nosuch',
  'swarm unlock',
  'swarm unlock-key',
  'swarm unlock-key --rotate',
  'swarm update',
  'swarm update --cert-expiry 10m',
  'swarm update --task-history-limit 3',
  'swarm update --dispatcher-heartbeat -5s',
  'swarm leave',
  'swarm leave --force',
  'swarm leave --force',
  'node ls',
]

const tokenPattern = /SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g

/** The lines with exit codes and all that was printed; IDs and tokens are random. */
async function session(host: string, lines: readonly string[], name: string): Promise<readonly string[]> {
  const docker = new DockerCli(host)
  let token = ''
  const transcript: string[] = []
  for (const line of lines) {
    const words = line.split(' ').map((word) => (word === 'SELF' ? name : word === 'TOKEN' ? token : word))
    const { code, stdout, stderr } = await docker.run(words)
    token = tokenPattern.exec(stdout)?.[0] ?? token
    tokenPattern.lastIndex = 0
    const printed = `${stdout}${stderr}`
      .replaceAll(tokenPattern, 'TOKEN')
      .replaceAll(/\b[0-9a-z]{25}\b/g, 'ID')
      .replaceAll(name, 'SELF')
      // The words of a newer gRPC library.
      .replaceAll('while dialing: dial', 'while dialing dial')
    transcript.push(`$ docker ${line}\n${printed}exit ${code}`)
  }
  docker.dispose()
  return transcript
}

test(
  'one node: every text of membership is what dockerd prints',
  { skip: needs('engine', 'cli'), timeout: 120_000 },
  async (t) => {
    const dockerd = await Dockerd.start()
    t.after(() => dockerd.stop())
    const cli = new DockerCli(dockerd.host)
    const name = (await cli.ok('info --format {{.Name}}')).trim()
    cli.dispose()
    const skepd = await Skepd.start({
      args: ['--hostname', name],
      wrap: (...line) => dockerd.inNetwork(...line),
    })
    t.after(() => skepd.stop())

    // Both want the same port: one after the other.
    const theirs = [...(await session(dockerd.host, outsideASwarm, name))]
    // dockerd refuses the settings of the last line, and is in a swarm all the same.
    await session(dockerd.host, ['swarm leave --force'], name)
    theirs.push(...(await session(dockerd.host, insideASwarm, name)))
    assert.deepEqual(await session(skepd.host, [...outsideASwarm, ...insideASwarm], name), theirs)
  },
)
