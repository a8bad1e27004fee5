import { get, post, postRaw, remove, v, type Context, type Step } from '../script.js'

const listenAddr = '0.0.0.0:2377'
const init = `${v}/swarm/init`
const join = `${v}/swarm/join`
const advertised = { ListenAddr: listenAddr, AdvertiseAddr: '127.0.0.1' }

/** Routing, versions, and everything that a node without a swarm refuses. */
export const inactiveSteps: readonly Step[] = [
  get('ping', '/_ping'),
  { name: 'ping by HEAD', call: { method: 'HEAD', path: '/_ping' } },
  get('ping with version', `${v}/_ping`),
  get('version too old', '/v1.11/nodes'),
  get('version far too new', '/v9.99/nodes'),
  get('version malformed', '/vfoo/nodes'),
  get('unknown path', '/nosuch'),
  get('unknown path with version', `${v}/nosuch`),
  { name: 'wrong verb', call: { method: 'PUT', path: `${v}/nodes` } },
  get('trailing slash', `${v}/services/`),
  { name: 'OPTIONS', call: { method: 'OPTIONS', path: `${v}/nodes` } },

  get('inactive: info', `${v}/info`, { pick: ['Swarm'] }),
  get('inactive: swarm', `${v}/swarm`),
  get('inactive: unlock key', `${v}/swarm/unlockkey`),
  post('inactive: unlock', `${v}/swarm/unlock`, { UnlockKey: 'SWMKEY-1-x' }),
  post('inactive: swarm update', `${v}/swarm/update?version=1`, { Name: 'default' }),
  post('inactive: leave', `${v}/swarm/leave`),
  get('inactive: nodes', `${v}/nodes`),
  get('inactive: node', `${v}/nodes/x`),
  remove('inactive: remove node', `${v}/nodes/x`),
  get('inactive: services', `${v}/services`),
  get('inactive: service', `${v}/services/x`),
  post('inactive: create service', `${v}/services/create`, {
    Name: 'x',
    TaskTemplate: { ContainerSpec: { Image: 'busybox' } },
  }),
  post('inactive: create service without content', `${v}/services/create`, {}),
  get('inactive: service logs', `${v}/services/x/logs?stdout=1`),
  get('inactive: tasks', `${v}/tasks`),
  get('inactive: task', `${v}/tasks/x`),
  get('inactive: secrets', `${v}/secrets`),
  post('inactive: create secret', `${v}/secrets/create`, { Name: 's', Data: 'YQ==' }),
  get('inactive: configs', `${v}/configs`),
  post('inactive: create config', `${v}/configs/create`, { Name: 'c', Data: 'YQ==' }),
  post('inactive: create overlay', `${v}/networks/create`, { Name: 'ov', Driver: 'overlay' }),

  postRaw('init: malformed JSON', init, '{"ListenAddr":'),
  postRaw('init: no JSON', init, 'nope'),
  postRaw('init: wrong type', init, '{"ListenAddr":5}'),
  post('init: empty object', init, {}),
  post('init: wrong spec name', init, { ListenAddr: listenAddr, Spec: { Name: 'zz' } }),
  post('init: unknown listen interface', init, { ListenAddr: 'nosuch0:2377' }),
  post('init: unknown advertise interface', init, { ListenAddr: listenAddr, AdvertiseAddr: 'nosuch0' }),
  post('init: zero advertise address', init, { ListenAddr: listenAddr, AdvertiseAddr: '0.0.0.0' }),
  post('init: bad data path address', init, { ...advertised, DataPathAddr: 'zz' }),
  post('init: bad pool', init, { ...advertised, DefaultAddrPool: ['zz'] }),
  post('init: pool smaller than subnets', init, {
    ...advertised,
    DefaultAddrPool: ['10.1.0.0/16'],
    SubnetSize: 8,
  }),
  post('init: subnets too small', init, { ...advertised, DefaultAddrPool: ['10.1.0.0/16'], SubnetSize: 30 }),
  post('init: data path port too low', init, { ...advertised, DataPathPort: 80 }),
  post('init: bad availability', init, { ...advertised, Availability: 'zz' }),
  get('inactive: nodes after failed inits', `${v}/nodes`),

  post('join: empty object', join, {}),
  post('join: no remote', join, { ListenAddr: listenAddr }),
  post('join: empty remote', join, { ListenAddr: listenAddr, RemoteAddrs: [''] }),
  post('join: malformed token', join, {
    ListenAddr: listenAddr,
    RemoteAddrs: ['127.0.0.1:1'],
    JoinToken: 'zz',
  }),
  post('join: token of unknown version', join, {
    ListenAddr: listenAddr,
    RemoteAddrs: ['127.0.0.1:1'],
    JoinToken: 'SWMTKN-9-a-b',
  }),
  post('join: bad availability', join, {
    ListenAddr: listenAddr,
    RemoteAddrs: ['127.0.0.1:1'],
    JoinToken: 'zz',
    Availability: 'zz',
  }),
]

/** The spec as `GET /swarm` shows it, for updates that change one thing. */
async function swarmSpec(c: Context): Promise<object> {
  return ((await c.get(`${v}/swarm`)) as { Spec: object }).Spec
}

async function updateSwarm(c: Context, query: string, change: object): Promise<Call> {
  const version = await c.version(`${v}/swarm`)
  const body = { ...(await swarmSpec(c)), ...change }
  return { method: 'POST', path: `${v}/swarm/update?version=${version}${query}`, body }
}

type Call = Exclude<Step['call'], (...args: never) => unknown>

/** From init to a running manager, its inspection, tokens and settings. */
export const swarmSteps: readonly Step[] = [
  post(
    'init',
    init,
    (c: Context) => ({ ListenAddr: c.listenAddr, AdvertiseAddr: c.listenAddr, Spec: { Labels: null } }),
    { save: 'node' },
  ),
  post('init again', init, { ListenAddr: listenAddr }),
  post('join while in a swarm', join, {
    ListenAddr: listenAddr,
    RemoteAddrs: ['127.0.0.1:1'],
    JoinToken: 'x',
  }),
  get('swarm', `${v}/swarm`, {
    before: (c) =>
      c.until('the node to be ready', `${v}/nodes`, (body) =>
        (body as { Status: { State: string } }[]).every((node) => node.Status.State === 'ready'),
      ),
    save: 'cluster',
  }),
  get('info', `${v}/info`, { pick: ['Swarm'] }),
  get('unlock key without autolock', `${v}/swarm/unlockkey`),
  post('unlock what is not locked', `${v}/swarm/unlock`, { UnlockKey: 'SWMKEY-1-x' }),
  post('swarm update: no version', `${v}/swarm/update`, { Name: 'default' }),
  post('swarm update: malformed version', `${v}/swarm/update?version=abc`, { Name: 'default' }),
  post('swarm update: stale version', `${v}/swarm/update?version=1`, { Name: 'default' }),
  post('swarm update: other name', `${v}/swarm/update?version=1`, { Name: 'other' }),
  post('swarm update: bad rotateWorkerToken', `${v}/swarm/update?version=1&rotateWorkerToken=maybe`, {}),
  post('swarm update: bad rotateManagerToken', `${v}/swarm/update?version=1&rotateManagerToken=maybe`, {}),
  post(
    'swarm update: bad rotateManagerUnlockKey',
    `${v}/swarm/update?version=1&rotateManagerUnlockKey=maybe`,
    {},
  ),
  {
    name: 'swarm update: certificates too short',
    call: (c) => updateSwarm(c, '', { CAConfig: { NodeCertExpiry: 1 } }),
  },
  {
    name: 'swarm update: unknown CA protocol',
    call: (c) => updateSwarm(c, '', { CAConfig: { ExternalCAs: [{ Protocol: 'zz', URL: 'https://x' }] } }),
  },
  {
    name: 'swarm update: CA key without certificate',
    call: (c) => updateSwarm(c, '', { CAConfig: { SigningCAKey: 'zz' } }),
  },
  {
    name: 'swarm update: negative heartbeat',
    call: (c) => updateSwarm(c, '', { Dispatcher: { HeartbeatPeriod: -5 } }),
  },
  { name: 'swarm update: labels', call: (c) => updateSwarm(c, '', { Labels: { a: '1' } }) },
  {
    name: 'swarm update: rotate both tokens',
    call: (c) => updateSwarm(c, '&rotateWorkerToken=1&rotateManagerToken=true', {}),
  },
  get('swarm after updates', `${v}/swarm`),
  {
    name: 'swarm update: autolock on',
    call: (c) => updateSwarm(c, '', { EncryptionConfig: { AutoLockManagers: true } }),
  },
  get('unlock key with autolock', `${v}/swarm/unlockkey`),
  {
    name: 'swarm update: rotate the unlock key',
    call: (c) => updateSwarm(c, '&rotateManagerUnlockKey=true', {}),
  },
  {
    name: 'swarm update: autolock off',
    call: (c) => updateSwarm(c, '', { EncryptionConfig: { AutoLockManagers: false } }),
  },
  get('unlock key after autolock', `${v}/swarm/unlockkey`),
]

/** Last of all. */
export const leaveSteps: readonly Step[] = [
  post('leave: last manager', `${v}/swarm/leave`),
  post('leave: force', `${v}/swarm/leave?force=true`),
  get('left: info', `${v}/info`, { pick: ['Swarm'] }),
  get('left: nodes', `${v}/nodes`),
  post('left: leave again', `${v}/swarm/leave?force=1`),
]
