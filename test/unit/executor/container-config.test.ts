import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { containerConfig, familiarImage, stopTimeoutSeconds } from '../../../src/executor/container-config.js'
import { parseGenericResources, parseLabels } from '../../../src/executor/generic-resources.js'
import { planFiles } from '../../../src/executor/secret-files.js'
import { TaskError, type AssignedTask, type Dependencies } from '../../../src/executor/index.js'
import { TaskState } from '../../../src/model/task-state.js'
import type { ContainerSpec, TaskSpec } from '../../../src/model/spec/index.js'

const task = (
  container: ContainerSpec,
  more: Partial<AssignedTask> = {},
  spec: Partial<TaskSpec> = {},
): AssignedTask => ({
  id: 't1',
  version: 1,
  spec: { ...spec, ContainerSpec: { Image: 'nginx', ...container } },
  serviceId: 's1',
  slot: 2,
  nodeId: 'n1',
  serviceAnnotations: { name: 'web', labels: {} },
  desiredState: TaskState.Running,
  status: { state: TaskState.Assigned, timestampMs: 0, message: '' },
  networks: [],
  ...more,
})

const dependencies: Dependencies = {
  secret: (id) =>
    id === 'x'
      ? { name: 'x', data: Buffer.from('for {{.Service.Name}} {{env "A"}}'), templating: 'golang' }
      : undefined,
  config: () => undefined,
  node: { id: 'n1', hostname: 'host1', platform: { Architecture: 'x86_64', OS: 'linux' } },
}

describe('container of a task', () => {
  it('has Docker’s names for images', () => {
    const digest = `sha256:${'a'.repeat(64)}`
    assert.equal(familiarImage('docker.io/library/nginx'), 'nginx:latest')
    assert.equal(familiarImage('me/app:1'), 'me/app:1')
    assert.equal(familiarImage('localhost:5000/app'), 'localhost:5000/app:latest')
    assert.equal(familiarImage(`nginx:1@${digest}`), `nginx:1@${digest}`)
    assert.equal(familiarImage(`nginx@${digest}`), `nginx@${digest}`)
    assert.equal(familiarImage('a'.repeat(64)), 'a'.repeat(64))
  })

  it('takes Command as entrypoint, and Args alone as arguments', () => {
    const { Entrypoint, Cmd } = containerConfig(task({ Command: ['a'], Args: ['b'] }), dependencies)
    assert.deepEqual([Entrypoint, Cmd], [['a'], ['b']])
    const alone = containerConfig(task({ Args: ['b'] }), dependencies)
    assert.deepEqual([alone.Entrypoint, alone.Cmd], [undefined, ['b']])
  })

  it('carries the labels of the spec and those of the system, which win', () => {
    const { Labels } = containerConfig(
      task({ Labels: { a: 'b', 'com.docker.swarm.task.id': 'forged' } }),
      dependencies,
    )
    assert.deepEqual(Labels, {
      a: 'b',
      'com.docker.swarm.task': '',
      'com.docker.swarm.task.id': 't1',
      'com.docker.swarm.task.name': 'web.2.t1',
      'com.docker.swarm.node.id': 'n1',
      'com.docker.swarm.service.id': 's1',
      'com.docker.swarm.service.name': 'web',
    })
  })

  it('publishes host-mode ports only', () => {
    const ports = [
      { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' },
      { Protocol: 'udp', TargetPort: 53, PublishMode: 'host' },
      { Protocol: 'tcp', TargetPort: 443, PublishedPort: 8443, PublishMode: 'ingress' },
    ]
    const { HostConfig, ExposedPorts } = containerConfig(
      task({}, { endpoint: { spec: {}, ports, virtualIPs: [] } }),
      dependencies,
    )
    assert.deepEqual(HostConfig?.PortBindings, {
      '80/tcp': [{ HostPort: '8080' }],
      '53/udp': [{ HostPort: '' }],
    })
    assert.deepEqual(ExposedPorts, { '80/tcp': {}, '53/udp': {} })
  })

  it('gets limits, not reservations', () => {
    const Resources = {
      Limits: { NanoCPUs: 1.5e9, MemoryBytes: 1000, Pids: 5 },
      Reservations: { NanoCPUs: 9e9, MemoryBytes: 9 },
      SwapBytes: 24,
    }
    const { HostConfig } = containerConfig(task({}, {}, { Resources }), dependencies)
    assert.equal(HostConfig?.Memory, 1000)
    assert.equal(HostConfig?.MemorySwap, 1024)
    assert.equal(HostConfig?.NanoCpus, 1.5e9)
    assert.equal(HostConfig?.PidsLimit, 5)
    assert.equal(HostConfig?.MemoryReservation, undefined)
  })

  it('finds its generic resources in the environment', () => {
    const assignedGenericResources = [
      { NamedResourceSpec: { Kind: 'gpu', Value: 'u1' } },
      { NamedResourceSpec: { Kind: 'gpu', Value: 'u2' } },
      { DiscreteResourceSpec: { Kind: 'ssd', Value: 3 } },
    ]
    const { Env } = containerConfig(task({ Env: ['A=b'] }, { assignedGenericResources }), dependencies)
    assert.deepEqual(Env, ['A=b', 'DOCKER_RESOURCE_GPU=u1,u2', 'DOCKER_RESOURCE_SSD=3'])
  })

  it('has hosts, security options and the log driver in the engine’s words', () => {
    const { HostConfig } = containerConfig(
      task(
        {
          Hosts: ['1.2.3.4 a b', '::1 c'],
          Privileges: {
            SELinuxContext: { Disable: false, User: 'u', Role: '', Type: 't', Level: '' },
            AppArmor: { Mode: 'disabled' },
            Seccomp: { Mode: 'custom', Profile: Buffer.from('{"x":1}').toString('base64') },
          },
        },
        { logDriver: { Name: 'local', Options: { 'max-size': '1m' } } },
        { LogDriver: { Name: 'syslog' } },
      ),
      dependencies,
    )
    assert.deepEqual(HostConfig?.ExtraHosts, ['a:1.2.3.4', 'b:1.2.3.4', 'c:::1'])
    assert.deepEqual(HostConfig?.SecurityOpt, [
      'label=user:u',
      'label=type:t',
      'seccomp={"x":1}',
      'apparmor=unconfined',
    ])
    assert.deepEqual(HostConfig?.LogConfig, { Type: 'local', Config: { 'max-size': '1m' } })
    assert.equal(HostConfig?.RestartPolicy, undefined)
  })

  for (const [mount, message] of [
    [{ Type: 'bind', Source: '/a', Target: 'b' }, 'invalid mount target, must be an absolute path: b'],
    [{ Type: 'bind', Source: 'a', Target: '/b' }, 'invalid bind mount source, must be an absolute path: a'],
    [
      { Type: 'volume', Source: '/a', Target: '/b' },
      'invalid volume mount source, must not be an absolute path: /a',
    ],
    [{ Type: 'tmpfs', Source: 'a', Target: '/b' }, 'invalid tmpfs source, source must be empty'],
    [{ Type: 'odd', Target: '/b' }, 'invalid mount type: odd'],
  ] as const) {
    it(`is not made: ${message}`, () => {
      assert.throws(() => containerConfig(task({ Mounts: [mount] }), dependencies), new TaskError(message))
    })
  }

  it('says which template is wrong', () => {
    assert.throws(
      () => containerConfig(task({ Hostname: '{{.Nope}}' }), dependencies),
      /expanding hostname failed/,
    )
  })

  it('gets whole seconds to stop, and no less than it asked for', () => {
    assert.equal(stopTimeoutSeconds(task({})), 10)
    assert.equal(stopTimeoutSeconds(task({ StopGracePeriod: 0 })), 0)
    assert.equal(stopTimeoutSeconds(task({ StopGracePeriod: 500e6 })), 1)
    assert.equal(stopTimeoutSeconds(task({ StopGracePeriod: 30e9 })), 30)
  })
})

describe('files of a task', () => {
  const secret = (Name: string, SecretID = 'x') => ({
    SecretID,
    SecretName: 'key',
    File: { Name, UID: '1', GID: '2', Mode: 0o440 },
  })

  it('stand where the reference says, with templates expanded', () => {
    const planned = planFiles(task({ Env: ['A=b'], Secrets: [secret('k'), secret('/etc/k')] }), dependencies)
    assert.deepEqual(
      planned.map(({ target, uid, gid, mode, data }) => [target, uid, gid, mode, data.toString()]),
      [
        ['/run/secrets/k', 1, 2, 0o440, 'for web b'],
        ['/etc/k', 1, 2, 0o440, 'for web b'],
      ],
    )
  })

  it('must be there', () => {
    assert.throws(() => planFiles(task({ Secrets: [secret('k', 'y')] }), dependencies), TaskError)
  })
})

describe('node options', () => {
  it('name generic resources by name or number', () => {
    assert.deepEqual(parseGenericResources(['GPU=u1', 'SSD=3,GPU=u2']), [
      { NamedResourceSpec: { Kind: 'GPU', Value: 'u1' } },
      { DiscreteResourceSpec: { Kind: 'SSD', Value: 3 } },
      { NamedResourceSpec: { Kind: 'GPU', Value: 'u2' } },
    ])
    assert.throws(() => parseGenericResources(['GPU']), /could not parse GenericResource: GPU/)
  })

  it('give the last of two equal labels', () => {
    assert.deepEqual(parseLabels(['a=1', 'b', 'a=2=3']), { a: '2=3', b: '' })
  })
})
