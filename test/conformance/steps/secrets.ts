import { eventsSoFar } from './events.js'
import { filters, get, post, postRaw, remove, v, type Context, type Step } from '../script.js'

/** Secrets and configs behave alike but for their texts and for what they show. */
function stepsOf(kind: 'secret' | 'config', limitBytes: number): Step[] {
  const base = `${v}/${kind}s`
  const list = (value: Record<string, readonly string[]>) => `${base}?${filters(value)}`
  const update = (name: string) => async (c: Context) =>
    `${base}/${c.id(`${kind}:${name}`)}/update?version=${await c.version(`${base}/${c.id(`${kind}:${name}`)}`)}`
  const create = `${base}/create`
  const named = (name: string, more: object = {}) => ({ Name: name, Data: 'YQ==', ...more })
  return [
    get(`${kind}s: none`, base),
    post(`create ${kind}`, create, named('alpha', { Labels: { l: '1', m: '2' } }), { save: `${kind}:alpha` }),
    post(`create ${kind}: second`, create, named('Beta.x_y-1'), { save: `${kind}:beta` }),
    post(`create ${kind}: name taken`, create, named('alpha')),
    post(`create ${kind}: name taken in other case`, create, named('ALPHA')),
    post(`create ${kind}: no name`, create, { Data: 'YQ==' }),
    post(`create ${kind}: bad name`, create, named('-alpha')),
    post(`create ${kind}: name with a space`, create, named('al pha')),
    post(`create ${kind}: name too long`, create, named('a'.repeat(65))),
    post(`create ${kind}: no data`, create, { Name: 'nodata' }),
    post(`create ${kind}: too much data`, create, {
      Name: 'big',
      Data: Buffer.alloc(limitBytes).toString('base64'),
    }),
    post(`create ${kind}: bad base64`, create, { Name: 'b64', Data: '%%%' }),
    postRaw(`create ${kind}: malformed JSON`, create, '{'),
    get(`${kind}s`, base, { byId: true }),
    get(`${kind} by ID`, (c) => `${base}/${c.id(`${kind}:alpha`)}`),
    get(`${kind} by name`, `${base}/alpha`),
    get(`${kind} by name in other case`, `${base}/ALPHA`),
    get(`${kind} by prefix`, (c) => `${base}/${c.id(`${kind}:alpha`).slice(0, 20)}`),
    get(`${kind} unknown`, `${base}/nosuch`),
    get(`${kind}s: unknown filter`, list({ zz: ['a'] })),
    get(`${kind}s: by name`, list({ name: ['alp'] })),
    get(`${kind}s: by name in other case`, list({ name: ['BETA'] })),
    get(`${kind}s: by label`, list({ label: ['l=1'] })),
    get(`${kind}s: by label key`, list({ label: ['m'] })),
    get(`${kind}s: by label, other value`, list({ label: ['l=2'] })),
    get(`${kind}s: name or id`, (c) => list({ name: ['alp'], id: [c.id(`${kind}:beta`)] })),
    post(`update ${kind}: no version`, (c) => `${base}/${c.id(`${kind}:alpha`)}/update`, named('alpha')),
    post(
      `update ${kind}: stale version`,
      (c) => `${base}/${c.id(`${kind}:alpha`)}/update?version=1`,
      named('alpha'),
    ),
    post(`update ${kind}: unknown`, `${base}/nosuch/update?version=1`, named('nosuch')),
    post(`update ${kind}: data`, update('alpha'), { Name: 'alpha', Data: 'Yg==' }),
    post(`update ${kind}: name`, update('alpha'), named('gamma')),
    post(`update ${kind}: labels`, update('alpha'), { Name: 'alpha', Labels: { l: '9' } }),
    get(`${kind} after update`, `${base}/alpha`),
    remove(`remove ${kind}`, `${base}/Beta.x_y-1`),
    remove(`remove ${kind}: unknown`, `${base}/nosuch`),
    eventsSoFar(`events of ${kind}s`, { type: [kind] }),
  ]
}

export const secretSteps: readonly Step[] = [
  ...stepsOf('secret', 512_000),
  get('secrets: whole names', `${v}/secrets?${filters({ names: ['alpha'] })}`),
  post('create secret: driver without name', `${v}/secrets/create`, { Name: 'drv', Driver: { Name: '' } }),
  get('secrets below their version', '/v1.24/secrets'),
]

export const configSteps: readonly Step[] = [
  ...stepsOf('config', 1_024_000),
  get('configs: whole names', `${v}/configs?${filters({ names: ['alpha'] })}`),
]
