import { eventsSoFar } from './events.js'
import { filters, get, post, postRaw, remove, v, type Context, type Step } from '../script.js'

const create = `${v}/services/create`
const services = (value: Record<string, readonly string[]>) => `${v}/services?${filters(value)}`
const container = (more: object = {}) => ({
  Image: 'busybox:latest',
  Command: ['sleep', '1000'],
  StopSignal: 'SIGKILL',
  ...more,
})
/** A service that runs on both engines and stops at once. */
const spec = (name: string, more: object = {}, template: object = {}, containerSpec: object = {}) => ({
  Name: name,
  TaskTemplate: { ContainerSpec: container(containerSpec), ...template },
  ...more,
})
const limits = (value: object) => spec('bad', {}, { Resources: { Limits: value } })
const placed = (constraint: string) => spec('bad', {}, { Placement: { Constraints: [constraint] } })
const file = { Name: 's', UID: '0', GID: '0', Mode: 292 }

const refused: readonly (readonly [name: string, body: unknown])[] = [
  ['empty object', {}],
  ['no image', { Name: 'bad', TaskTemplate: { ContainerSpec: {} } }],
  ['name with a space', spec('ba d')],
  ['name too long', spec('a'.repeat(64))],
  ['name with a dot', spec('demo.a_b')],
  ['bad image', spec('bad', {}, {}, { Image: 'BAD Image' })],
  ['two modes', spec('bad', { Mode: { Global: {}, Replicated: { Replicas: 1 } } })],
  ['bad restart condition', spec('bad', {}, { RestartPolicy: { Condition: 'sometimes' } })],
  ['negative restart delay', spec('bad', {}, { RestartPolicy: { Delay: -1 } })],
  ['negative restart window', spec('bad', {}, { RestartPolicy: { Window: -1 } })],
  ['bad failure action', spec('bad', { UpdateConfig: { FailureAction: 'explode' } })],
  ['bad update order', spec('bad', { UpdateConfig: { Order: 'both' } })],
  ['bad rollback order', spec('bad', { RollbackConfig: { Order: 'both' } })],
  ['bad failure ratio', spec('bad', { UpdateConfig: { MaxFailureRatio: 3 } })],
  ['negative update delay', spec('bad', { UpdateConfig: { Delay: -1 } })],
  ['negative monitor', spec('bad', { UpdateConfig: { Monitor: -1 } })],
  ['bad endpoint mode', spec('bad', { EndpointSpec: { Mode: 'magic' } })],
  [
    'ingress port with dnsrr',
    spec('bad', { EndpointSpec: { Mode: 'dnsrr', Ports: [{ TargetPort: 80, PublishedPort: 8080 }] } }),
  ],
  [
    'port published twice',
    spec('bad', {
      EndpointSpec: {
        Ports: [
          { TargetPort: 80, PublishedPort: 8080 },
          { TargetPort: 81, PublishedPort: 8080 },
        ],
      },
    }),
  ],
  ['port in use', spec('bad', { EndpointSpec: { Ports: [{ TargetPort: 81, PublishedPort: 8081 }] } })],
  [
    'port in use, host mode',
    spec('bad', { EndpointSpec: { Ports: [{ TargetPort: 81, PublishedPort: 8081, PublishMode: 'host' }] } }),
  ],
  ['constraint without operator', placed('foo')],
  ['constraint with a bad key', placed('1x==a')],
  ['constraint with a bad value', placed('node.id==@')],
  ['too little CPU', limits({ NanoCPUs: 1 })],
  ['too little memory', limits({ MemoryBytes: 1 })],
  ['bad mount type', spec('bad', {}, {}, { Mounts: [{ Type: 'weird', Target: '/a' }] })],
  [
    'mount point twice',
    spec(
      'bad',
      {},
      {},
      {
        Mounts: [
          { Type: 'volume', Target: '/a' },
          { Type: 'volume', Target: '/a' },
        ],
      },
    ),
  ],
  [
    'bad mount propagation',
    spec(
      'bad',
      {},
      {},
      { Mounts: [{ Type: 'bind', Source: '/tmp', Target: '/a', BindOptions: { Propagation: 'zz' } }] },
    ),
  ],
  ['health interval too short', spec('bad', {}, {}, { Healthcheck: { Interval: 5 } })],
  ['negative health retries', spec('bad', {}, {}, { Healthcheck: { Retries: -1 } })],
  ['unknown secret', spec('bad', {}, {}, { Secrets: [{ SecretID: 'abc', SecretName: 's', File: file }] })],
  [
    'two unknown secrets',
    spec(
      'bad',
      {},
      {},
      {
        Secrets: [
          { SecretID: 'abc', SecretName: 's', File: file },
          { SecretID: 'def', SecretName: 't', File: { ...file, Name: 't' } },
        ],
      },
    ),
  ],
  ['secret without ID', spec('bad', {}, {}, { Secrets: [{ SecretID: '', SecretName: 's' }] })],
  ['unknown config', spec('bad', {}, {}, { Configs: [{ ConfigID: 'abc', ConfigName: 's', File: file }] })],
  ['config without target', spec('bad', {}, {}, { Configs: [{ ConfigID: 'abc', ConfigName: 's' }] })],
  ['unknown network', spec('bad', {}, { Networks: [{ Target: 'nonet' }] })],
  ['ingress as a network', spec('bad', {}, { Networks: [{ Target: 'ingress' }] })],
  [
    'plugin runtime',
    { Name: 'bad', TaskTemplate: { Runtime: 'plugin', PluginSpec: { name: 'x', remote: 'y' } } },
  ],
  [
    'attachment runtime',
    { Name: 'bad', TaskTemplate: { Runtime: 'attachment', NetworkAttachmentSpec: { ContainerID: 'x' } } },
  ],
  [
    'job with an update config',
    spec('bad', { Mode: { ReplicatedJob: {} }, UpdateConfig: { Parallelism: 1 } }),
  ],
  ['template that cannot be expanded', spec('bad', {}, {}, { Env: ['A={{.Nope}}'] })],
  ['negative replicas', spec('bad', { Mode: { Replicated: { Replicas: -1 } } })],
  [
    'two credential specs',
    spec('bad', {}, {}, { Privileges: { CredentialSpec: { File: 'a', Registry: 'b' } } }),
  ],
  ['empty credential spec', spec('bad', {}, {}, { Privileges: { CredentialSpec: {} } })],
  ['name taken', spec('web')],
  ['name taken in other case', spec('WEB')],
]

function running(service: string, count: number): (c: Context) => Promise<void> {
  return (c) =>
    c.until(
      `${count} running tasks of ${service}`,
      `${v}/tasks?${filters({ service: [service], 'desired-state': ['running'] })}`,
      (body) =>
        (body as { Status: { State: string } }[]).filter((task) => task.Status.State === 'running').length ===
        count,
    )
}

function completed(job: string, count: number): (c: Context) => Promise<void> {
  return (c) =>
    c.until(
      `${count} completed tasks of ${job}`,
      `${v}/tasks?${filters({ service: [job] })}`,
      (body) =>
        (body as { Status: { State: string } }[]).filter((task) => task.Status.State === 'complete')
          .length === count,
    )
}

function updated(service: string, state: string): (c: Context) => Promise<void> {
  return (c) =>
    c.until(
      `the update of ${service} to be ${state}`,
      `${v}/services/${service}`,
      (body) => (body as { UpdateStatus?: { State: string } }).UpdateStatus?.State === state,
    )
}

const update =
  (service: string, query = '') =>
  async (c: Context) =>
    `${v}/services/${service}/update?version=${await c.version(`${v}/services/${service}`)}${query}`

/** As the CLI sends it. */
const web = (more: object = {}, containerSpec: object = {}) =>
  spec(
    'web',
    {
      Labels: { tier: 'front' },
      Mode: { Replicated: { Replicas: 2 } },
      UpdateConfig: { Parallelism: 0, Monitor: 100_000_000 },
      RollbackConfig: { Parallelism: 0, Monitor: 100_000_000 },
      EndpointSpec: { Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8081 }] },
      ...more,
    },
    {},
    containerSpec,
  )

const secretRef = (c: Context) => ({ File: file, SecretID: c.id('secret:alpha'), SecretName: 'alpha' })
const configRef = (c: Context) => ({
  File: { ...file, Name: '/etc/c' },
  ConfigID: c.id('config:alpha'),
  ConfigName: 'alpha',
})

export const serviceSteps: readonly Step[] = [
  get('services: none', `${v}/services`),
  post('create service web', create, web(), { save: 'service:web' }),
  ...refused.map(([name, body]) => post(`create service: ${name}`, create, body)),
  postRaw('create service: malformed JSON', create, '{"Name":'),
  postRaw('create service: no JSON', create, 'nope'),
  postRaw('create service: wrong type', create, '{"Name":5}'),
  postRaw('create service: null', create, 'null'),
  postRaw('create service: wrong content type', create, '{}', 'text/plain'),
  post(
    'create service minimal',
    create,
    {
      Name: 'mini',
      TaskTemplate: { ContainerSpec: { Image: 'busybox:latest' } },
      Mode: { Replicated: { Replicas: 0 } },
    },
    { save: 'service:mini' },
  ),
  get('service minimal', `${v}/services/mini`),
  get('service minimal with defaults', `${v}/services/mini?insertDefaults=true`),
  post(
    'create service rich',
    create,
    (c: Context) =>
      spec(
        'rich',
        {
          Labels: { a: '', b: 'x' },
          Mode: { Global: {} },
          EndpointSpec: {
            Mode: 'dnsrr',
            Ports: [{ Protocol: 'udp', TargetPort: 53, PublishedPort: 5353, PublishMode: 'host' }],
          },
        },
        {
          Resources: {
            Limits: { NanoCPUs: 500_000_000, MemoryBytes: 67_108_864 },
            Reservations: { MemoryBytes: 4_194_304 },
          },
          RestartPolicy: {
            Condition: 'on-failure',
            Delay: 1_000_000_000,
            MaxAttempts: 3,
            Window: 2_000_000_000,
          },
          Placement: {
            Constraints: ['node.role==manager'],
            Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
            MaxReplicas: 0,
          },
          Networks: [{ Target: 'net1', Aliases: ['r'] }],
          LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } },
          ForceUpdate: 3,
        },
        {
          Command: ['sleep'],
          Args: ['1000'],
          Hostname: '{{.Service.Name}}',
          Env: ['A=1', 'B'],
          Dir: '/tmp',
          User: 'root',
          Groups: ['root'],
          Labels: { c: 'l' },
          TTY: true,
          OpenStdin: true,
          ReadOnly: true,
          Init: false,
          Hosts: ['1.2.3.4 h'],
          DNSConfig: { Nameservers: ['1.1.1.1'] },
          Healthcheck: { Test: ['NONE'] },
          Mounts: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1_048_576 } }],
          Secrets: [secretRef(c)],
          Configs: [configRef(c)],
          Sysctls: { 'net.core.somaxconn': '128' },
          CapabilityAdd: ['CAP_NET_ADMIN'],
          CapabilityDrop: ['CAP_CHOWN'],
          Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }],
          StopGracePeriod: 1_000_000_000,
        },
      ),
    { save: 'service:rich' },
  ),
  get('service rich', `${v}/services/rich`, {
    // Filled in after the creation.
    before: (c) =>
      c.until('the endpoint', `${v}/services/rich`, (body) => {
        const { Endpoint } = body as { Endpoint: { Ports?: unknown } }
        return Endpoint.Ports !== undefined
      }),
  }),
  get('service rich with defaults', `${v}/services/rich?insertDefaults=1`),
  post(
    'create service job',
    create,
    spec(
      'job',
      { Mode: { ReplicatedJob: { TotalCompletions: 2 } } },
      { RestartPolicy: { Condition: 'none' } },
      { Command: ['true'] },
    ),
    { save: 'service:job' },
  ),
  get('service job', `${v}/services/job`),
  post(
    'create service global job',
    create,
    spec(
      'gjob',
      { Mode: { GlobalJob: {} } },
      { RestartPolicy: { Condition: 'none' } },
      { Command: ['true'] },
    ),
    { save: 'service:gjob' },
  ),
  post(
    'create service job below its version',
    '/v1.40/services/create',
    spec('oldjob', { Mode: { ReplicatedJob: {} } }, {}, {}),
    { save: 'service:oldjob' },
  ),
  get('service job below its version', `${v}/services/oldjob`),
  remove('remove service', `${v}/services/oldjob`),

  get('service web', `${v}/services/web`, { before: running('web', 2) }),
  get('service by ID', (c) => `${v}/services/${c.id('service:web')}`),
  get('service by prefix', (c) => `${v}/services/${c.id('service:web').slice(0, 20)}`),
  get('service by name in other case', `${v}/services/WEB`),
  get('service unknown', `${v}/services/nosuch`),
  get('service: bad insertDefaults', `${v}/services/web?insertDefaults=maybe`),
  get('services', `${v}/services`, { byId: true }),
  get('services with status', `${v}/services?status=true&${filters({ mode: ['replicated', 'global'] })}`, {
    before: running('rich', 1),
    byId: true,
  }),
  get(
    'jobs with status',
    `${v}/services?status=true&${filters({ mode: ['replicated-job', 'global-job'] })}`,
    {
      before: async (c) => {
        await completed('job', 2)(c)
        await completed('gjob', 1)(c)
      },
      byId: true,
    },
  ),
  eventsSoFar('events of services', { type: ['service'], event: ['create', 'remove'] }),
  get('services: bad status', `${v}/services?status=zz`),
  get('services: bad status below its version', '/v1.40/services?status=zz'),
  get('services: unknown filter', services({ zz: ['zz'] })),
  get('services: by name', services({ name: ['we'] })),
  // Several prefixes come in no fixed order: dockerd reads them from a map.
  get('services: by names', services({ name: ['web', 'mini', 'nosuch'] })),
  get('services: by name in other case', services({ name: ['WEB'] })),
  get('services: by ID', (c) => services({ id: [c.id('service:web')] })),
  get('services: by label', services({ label: ['tier=front'] })),
  get('services: by empty label', services({ label: ['a='] })),
  get('services: name and label', services({ name: ['web'], label: ['b'] })),
  get('services: global', services({ mode: ['global'] })),
  get('services: jobs', services({ mode: ['replicated-job', 'global-job'] }), { byId: true }),
  get('services: unknown mode', services({ mode: ['zz'] })),
  get('services: plugins', services({ runtime: ['plugin'] })),

  post('update service: no version', `${v}/services/web/update`, web()),
  post('update service: malformed version', `${v}/services/web/update?version=abc`, web()),
  post('update service: stale version', `${v}/services/web/update?version=1`, web()),
  post('update service: unknown', `${v}/services/nosuch/update?version=1`, web()),
  post('update service: rename', update('web'), web({ Name: 'web2' })),
  post('update service: other mode', update('web'), web({ Mode: { Global: {} } })),
  post('update service: empty object', update('web'), {}),
  post('update service: no image', update('web'), web({ TaskTemplate: { ContainerSpec: {} } })),
  post('update service: bad registryAuthFrom', update('web', '&registryAuthFrom=zz'), web()),
  post('update service: bad rollback', update('web', '&rollback=zz'), web()),
  post('update service: nothing to roll back to', update('web', '&rollback=previous'), web()),
  post('update service: no previous auth', update('web', '&registryAuthFrom=previous-spec'), web()),
  post('update service: scale', update('web'), web({ Mode: { Replicated: { Replicas: 3 } } })),
  get('service scaled', `${v}/services/web`, { before: running('web', 3) }),
  post(
    'update service: environment',
    update('web'),
    web({ Mode: { Replicated: { Replicas: 3 } } }, { Env: ['X=1'] }),
  ),
  get('service updated', `${v}/services/web`, { before: updated('web', 'completed') }),
  post(
    'update service: roll back',
    update('web', '&rollback=previous'),
    web({ Mode: { Replicated: { Replicas: 3 } } }, { Env: ['X=1'] }),
  ),
  get('service rolled back', `${v}/services/web`, { before: updated('web', 'rollback_completed') }),
  remove('remove service: unknown', `${v}/services/nosuch`),
]

const tasks = (value: Record<string, readonly string[]>) => `${v}/tasks?${filters(value)}`

export const taskSteps: readonly Step[] = [
  get('tasks of a service', tasks({ service: ['web'], 'desired-state': ['running'] }), {
    before: running('web', 3),
    byId: true,
  }),
  get('tasks of a global service', tasks({ service: ['rich'], 'desired-state': ['running'] })),
  get('tasks of a job', tasks({ service: ['job'] }), { byId: true }),
  get('tasks by node and name', (c) => tasks({ node: [c.id('hostname')], name: ['rich'] })),
  get('tasks by label', tasks({ label: ['b=x'], 'desired-state': ['running'] })),
  get('tasks up to date', tasks({ service: ['rich'], '_up-to-date': ['true'] })),
  get('tasks: desired accepted', tasks({ 'desired-state': ['accepted'] })),
  get('tasks: bad desired state', tasks({ 'desired-state': ['zz'] })),
  get('tasks: unknown filter', tasks({ zz: ['zz'] })),
  get('tasks: unknown service', tasks({ service: ['zz'] })),
  get('tasks: unknown node', tasks({ node: ['zz'] })),
  get('tasks: node self', tasks({ node: ['self'] })),
  get('tasks: attachments', tasks({ runtime: ['attachment'] })),
  get('task', (c) => `${v}/tasks/${c.id('task')}`, {
    before: async (c) => {
      const [task] = (await c.get(tasks({ service: ['rich'], 'desired-state': ['running'] }))) as {
        ID: string
      }[]
      c.save('task', task?.ID ?? 'none')
    },
  }),
  get('task unknown', `${v}/tasks/nosuch`),
  get('service logs: no stream', `${v}/services/web/logs`),
  get('service logs: empty', `${v}/services/web/logs?stdout=1&stderr=1`),
  get('service logs: bad tail', `${v}/services/web/logs?stdout=1&tail=x`),
  get('service logs: negative tail', `${v}/services/web/logs?stdout=1&tail=-1`),
  get('service logs: bad since', `${v}/services/web/logs?stdout=1&since=zz`),
  get('service logs: unknown service', `${v}/services/nosuch/logs?stdout=1`),
  get('task logs: unknown task', `${v}/tasks/nosuch/logs?stdout=1`),

  remove('remove secret in use', `${v}/secrets/alpha`),
  remove('remove config in use', `${v}/configs/alpha`),
  remove('remove network in use', `${v}/networks/net1`),
  get('events: until before since', `${v}/events?since=20&until=10`),
  get('events: bad since', `${v}/events?since=zz`),
  remove('remove service rich', `${v}/services/rich`),
  {
    name: 'remove secret no longer used',
    call: { method: 'DELETE', path: `${v}/secrets/alpha` },
  },
  remove('remove service web', `${v}/services/web`),
  get('service removed', `${v}/services/web`),
  get('tasks of a removed service', tasks({ service: ['web'] })),
]
