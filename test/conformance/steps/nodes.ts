import { eventsSoFar } from './events.js'
import { filters, get, post, remove, v, type Context, type Step } from '../script.js'

const nodes = (value: Record<string, readonly string[]>) => `${v}/nodes?${filters(value)}`
const node = (c: Context) => `${v}/nodes/${c.id('node')}`
const update = (query: string) => (c: Context) => `${node(c)}/update${query}`
const current = async (c: Context) => `${node(c)}/update?version=${await c.version(node(c))}`
const active = { Role: 'manager', Availability: 'active' }

export const nodeSteps: readonly Step[] = [
  get('nodes', `${v}/nodes`),
  get('node by ID', node),
  get('node by prefix', (c) => `${v}/nodes/${c.id('node').slice(0, 12)}`),
  get('node by hostname', (c) => `${v}/nodes/${c.id('hostname')}`, {
    before: async (c) => {
      const { Description } = (await c.get(node(c))) as { Description: { Hostname: string } }
      c.save('hostname', Description.Hostname)
    },
  }),
  get('node self', `${v}/nodes/self`),
  get('node unknown', `${v}/nodes/nosuch`),
  get('nodes: filters no JSON', `${v}/nodes?filters=zzz`),
  get('nodes: unknown filter', nodes({ zz: ['a'] })),
  get('nodes: bad role', nodes({ role: ['a'] })),
  get('nodes: bad membership', nodes({ membership: ['a'] })),
  get('nodes: managers', nodes({ role: ['manager'] })),
  get('nodes: role in capitals', nodes({ role: ['MANAGER'] })),
  get('nodes: workers', nodes({ role: ['worker'] })),
  get('nodes: accepted', nodes({ membership: ['accepted'] })),
  get('nodes: pending', nodes({ membership: ['pending'] })),
  get('nodes: by ID prefix', (c) => nodes({ id: [c.id('node').slice(0, 4)] })),
  get('nodes: by name prefix', (c) => nodes({ name: [c.id('hostname').slice(0, 1)] })),
  get('nodes: by another name', nodes({ name: ['nosuch'] })),
  get('nodes: empty role', nodes({ role: [''] })),
  get('nodes: map form with false', `${v}/nodes?filters=%7B%22role%22%3A%7B%22manager%22%3Afalse%7D%7D`),
  post('node update: no version', update(''), active),
  post('node update: malformed version', update('?version=abc'), active),
  post('node update: stale version', update('?version=1'), active),
  post('node update: empty spec', current, {}),
  post('node update: bad role', current, { Role: 'zz', Availability: 'active' }),
  post('node update: bad availability', current, { Role: 'manager', Availability: 'zz' }),
  post('node update: no availability', current, { Role: 'manager' }),
  post('node update: demote the last manager', current, { Role: 'worker', Availability: 'active' }),
  post('node update: unknown node', `${v}/nodes/nosuch/update?version=1`, active),
  post('node update: labels', current, { ...active, Labels: { disk: 'ssd', zone: '' } }),
  get('node after update', node),
  get('nodes: by spec label', nodes({ 'node.label': ['disk=ssd'] })),
  get('nodes: by spec label, other value', nodes({ 'node.label': ['disk=hdd'] })),
  get('nodes: by engine label', nodes({ label: ['disk'] })),
  post('node update: drain', current, { Role: 'manager', Availability: 'drain' }),
  get('node drained', node),
  post('node update: active again', current, active),
  remove('remove unknown node', `${v}/nodes/nosuch`),
  { name: 'remove the manager', call: (c) => ({ method: 'DELETE', path: node(c) }) },
  { name: 'remove the manager by force', call: (c) => ({ method: 'DELETE', path: `${node(c)}?force=1` }) },
  // That of the last write may still be on its way.
  eventsSoFar('events of nodes made', { type: ['node'], event: ['create'] }),
]
