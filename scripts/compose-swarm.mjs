// Makes one swarm of the daemons named on the command line: those called manager… manage it, the others work.
// Used by docker-compose.yml. What is in a swarm already stays as it is, so that it may run again.
import { lookup } from 'node:dns/promises'
import { setTimeout as delay } from 'node:timers/promises'

const apiPort = 2375
const clusterPort = 2377
const names = process.argv.slice(2)

async function call(name, method, path, body) {
  const response = await fetch(`http://${name}:${apiPort}${path}`, {
    method,
    ...(body !== undefined && {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${name}: ${method} ${path}: ${response.status} ${text.trim()}`)
  return text === '' ? undefined : JSON.parse(text)
}

/** The swarm section of its /info, once it knows whether it is in a swarm. */
async function swarmInfo(name) {
  for (;;) {
    const { Swarm } = await call(name, 'GET', '/info')
    if (Swarm.LocalNodeState !== 'pending') return Swarm
    await delay(200)
  }
}

const isManager = (name) => name.startsWith('manager')
const addresses = new Map()
for (const name of names) addresses.set(name, (await lookup(name, 4)).address)
const listening = (name) => ({
  ListenAddr: `0.0.0.0:${clusterPort}`,
  AdvertiseAddr: `${addresses.get(name)}:${clusterPort}`,
})

let founder
for (const name of names.filter(isManager)) {
  if (founder === undefined && (await swarmInfo(name)).LocalNodeState === 'active') founder = name
}
if (founder === undefined) {
  founder = names.find(isManager)
  await call(founder, 'POST', '/swarm/init', listening(founder))
  console.log(`${founder} has founded the swarm`)
}
for (const name of names) {
  if ((await swarmInfo(name)).LocalNodeState !== 'inactive') continue
  const { JoinTokens } = await call(founder, 'GET', '/swarm')
  await call(name, 'POST', '/swarm/join', {
    ...listening(name),
    RemoteAddrs: [`${addresses.get(founder)}:${clusterPort}`],
    JoinToken: isManager(name) ? JoinTokens.Manager : JoinTokens.Worker,
  })
  console.log(`${name} has joined it`)
}
