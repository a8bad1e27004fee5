import { filters, get, post, v, type Context, type Step } from '../script.js'

interface TaskView {
  readonly ID: string
  readonly DesiredState: string
  readonly Status: { readonly State: string; readonly ContainerStatus?: { readonly ContainerID: string } }
}

/** Saves the container of a service's oldest task once that is in one of `states`. */
function containerOf(service: string, ...states: string[]): (c: Context) => Promise<void> {
  const path = `${v}/tasks?${filters({ service: [service] })}`
  // The orchestrator takes note of a task's end a moment after the agent.
  const reached = ({ Status, DesiredState }: TaskView) =>
    states.includes(Status.State) &&
    Status.ContainerStatus?.ContainerID !== undefined &&
    (Status.State === 'running' || DesiredState === 'shutdown')
  return async (c) => {
    await c.until(`a task of ${service} to be ${states.join(' or ')}`, path, (body) =>
      (body as TaskView[]).some(reached),
    )
    const task = ((await c.get(path)) as TaskView[]).find(reached)
    c.save(`container:${service}`, task?.Status.ContainerStatus?.ContainerID ?? '')
    c.save(`task:${service}`, task?.ID ?? '')
  }
}

interface Case {
  readonly name: string
  /** What the service has besides its name; `Image` and `Command` have defaults. */
  readonly container?: object | ((c: Context) => object)
  readonly template?: object
  readonly service?: object
  /** States of the task at which its container is looked at. */
  readonly states?: readonly string[]
}

const file = { UID: '0', GID: '0', Mode: 292 }

const cases: readonly Case[] = [
  { name: 'plain' },
  { name: 'args', container: { Command: undefined, Args: ['sleep', '1000'] } },
  {
    name: 'process',
    container: {
      Args: [],
      Env: ['A=1', 'NAME={{.Service.Name}}.{{.Task.Slot}}', 'EMPTY='],
      Hostname: 'h-{{.Task.Slot}}',
      Dir: '/tmp',
      User: 'root',
      Groups: ['root'],
      Labels: { mine: 'yes', 'com.docker.swarm.service.name': 'forged' },
      TTY: true,
      OpenStdin: true,
      ReadOnly: true,
      StopGracePeriod: 3_000_000_000,
      Init: true,
    },
  },
  {
    name: 'limits',
    container: {
      Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '1024' },
      CapabilityAdd: ['CAP_NET_ADMIN'],
      CapabilityDrop: ['CAP_CHOWN'],
      Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
    },
    template: {
      Resources: {
        Limits: { NanoCPUs: 500_000_000, MemoryBytes: 67_108_864, Pids: 50 },
        Reservations: { NanoCPUs: 100_000_000, MemoryBytes: 4_194_304 },
      },
      LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } },
    },
  },
  {
    name: 'mounts',
    container: {
      Mounts: [
        { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o755 } },
        { Type: 'bind', Source: '/etc', Target: '/host-etc', ReadOnly: true },
        { Type: 'volume', Source: 'vol-{{.Task.Slot}}', Target: '/v', VolumeOptions: { Labels: { l: '1' } } },
        { Type: 'volume', Source: 'plainvol', Target: '/p' },
      ],
    },
  },
  {
    name: 'names',
    container: {
      Hosts: ['1.2.3.4 one', '1.2.3.5 two three'],
      DNSConfig: { Nameservers: ['1.1.1.1'], Search: ['example.org'], Options: ['ndots:2'] },
    },
  },
  {
    name: 'health',
    container: {
      Healthcheck: {
        Test: ['CMD', 'true'],
        Interval: 100_000_000,
        Timeout: 1_000_000_000,
        Retries: 2,
        StartPeriod: 1_000_000_000,
      },
    },
  },
  {
    name: 'ports',
    service: {
      EndpointSpec: {
        Ports: [
          { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8085, PublishMode: 'host' },
          { Protocol: 'udp', TargetPort: 53, PublishedPort: 8053, PublishMode: 'host' },
        ],
      },
    },
  },
  {
    name: 'files',
    container: (c: Context) => ({
      Secrets: [
        { File: { ...file, Name: 'plain-name' }, SecretID: c.id('secret'), SecretName: 's' },
        {
          File: { ...file, Name: '/abs/s', UID: '5', GID: '6', Mode: 0o400 },
          SecretID: c.id('secret'),
          SecretName: 's',
        },
      ],
      Configs: [{ File: { ...file, Name: '/etc/c' }, ConfigID: c.id('config'), ConfigName: 'c' }],
    }),
  },
  {
    name: 'failing',
    container: { Command: ['sh', '-c', 'exit 3'] },
    template: { RestartPolicy: { Condition: 'none' } },
    states: ['failed'],
  },
  {
    name: 'succeeding',
    container: { Command: ['true'] },
    template: { RestartPolicy: { Condition: 'none' } },
    states: ['complete'],
  },
  {
    name: 'unstartable',
    container: { Command: ['/no/such/program'] },
    template: { RestartPolicy: { Condition: 'none' } },
    states: ['failed'],
  },
  { name: 'global', service: { Mode: { Global: {} } } },
]

function stepsOf({ name, container = {}, template = {}, service = {}, states = ['running'] }: Case): Step[] {
  const spec = (c: Context) => ({
    Name: name,
    TaskTemplate: {
      ContainerSpec: {
        Image: 'busybox:latest',
        Command: ['sleep', '1000'],
        ...(typeof container === 'function' ? container(c) : container),
      },
      ...template,
    },
    ...service,
  })
  const path = (c: Context) => `${v}/containers/${c.id(`container:${name}`)}/json`
  return [
    post(`create service ${name}`, `${v}/services/create`, spec, { save: `service:${name}` }),
    get(`container of ${name}`, path, {
      before: containerOf(name, ...states),
      pick: ['Name', 'Path', 'Args', 'Config', 'HostConfig', 'Mounts', 'RestartCount', 'AppArmorProfile'],
    }),
    get(`task of ${name}`, (c) => `${v}/tasks/${c.id(`task:${name}`)}`, {
      pick: ['Status', 'DesiredState', 'Slot', 'Spec'],
    }),
  ]
}

/** What a real engine is told to run for a service, looked at through the engine's own API. */
export const containerScript: readonly Step[] = [
  post(
    'init',
    `${v}/swarm/init`,
    (c: Context) => ({ ListenAddr: c.listenAddr, AdvertiseAddr: c.listenAddr }),
    {
      save: 'node',
    },
  ),
  post('create secret', `${v}/secrets/create`, { Name: 's', Data: 'c2VjcmV0' }, { save: 'secret' }),
  post('create config', `${v}/configs/create`, { Name: 'c', Data: 'Y29uZmln' }, { save: 'config' }),
  ...cases.flatMap(stepsOf),
]
