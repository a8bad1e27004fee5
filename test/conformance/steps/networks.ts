import { eventsSoFar } from './events.js'
import { filters, get, post, postRaw, remove, v, type Step } from '../script.js'

const create = `${v}/networks/create`
const overlay = (name: string, more: object = {}) => ({ Name: name, Driver: 'overlay', ...more })
const pool = (...config: object[]) => ({ IPAM: { Driver: 'default', Config: config } })

/** Only the swarm's half: what the local engine has differs by nature. */
export const networkSteps: readonly Step[] = [
  get('networks: swarm scope', `${v}/networks?${filters({ scope: ['swarm'] })}`),
  get('network ingress', `${v}/networks/ingress`),
  post('create network', create, overlay('net1', { Labels: { a: '1' } }), { save: 'network:net1' }),
  post(
    'create network: attachable, with a subnet',
    create,
    overlay('net2', { Attachable: true, ...pool({ Subnet: '10.99.0.0/24', Gateway: '10.99.0.1' }) }),
    { save: 'network:net2' },
  ),
  post('create network: name taken', create, overlay('net1', { CheckDuplicate: true })),
  post('create network: predefined name', create, overlay('host')),
  post('create network: no name', create, { Driver: 'overlay' }),
  post('create network: bad name', create, overlay('a b')),
  post('create network: bad subnet', create, overlay('net3', pool({ Subnet: 'zz' }))),
  post(
    'create network: gateway outside',
    create,
    overlay('net3', pool({ Subnet: '10.98.0.0/24', Gateway: '10.97.0.1' })),
  ),
  post('create network: second ingress', create, overlay('net3', { Ingress: true })),
  post('create network: attachable ingress', create, overlay('net3', { Ingress: true, Attachable: true })),
  post(
    'create network: reserved label',
    create,
    overlay('net3', { Labels: { 'com.docker.swarm.predefined': 'true' } }),
  ),
  postRaw('create network: malformed JSON', create, '{"Name":'),
  get('networks: swarm scope, by name', `${v}/networks?${filters({ scope: ['swarm'], name: ['net1'] })}`),
  get('networks: swarm scope, by label', `${v}/networks?${filters({ scope: ['swarm'], label: ['a=1'] })}`),
  get('networks: bad dangling', `${v}/networks?${filters({ dangling: ['zz'] })}`),
  get('networks: unknown filter', `${v}/networks?${filters({ zz: ['zz'] })}`),
  get('network by name', `${v}/networks/net1?scope=swarm`),
  get('network by ID', (c) => `${v}/networks/${c.id('network:net2')}`),
  get('network by prefix', (c) => `${v}/networks/${c.id('network:net2').slice(0, 20)}`),
  get('network unknown', `${v}/networks/nosuch`),
  get('network: bad verbose', `${v}/networks/net1?verbose=zz`),
  remove('remove network', `${v}/networks/net2`),
  remove('remove network: unknown', `${v}/networks/nosuch`),
  eventsSoFar('events of networks', { type: ['network'], event: ['remove'], scope: ['swarm'] }),
]
