import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DockerEngine } from '../../src/engine/index.js'
import { silentLog } from '../../src/env/log.js'
import { systemEnv } from '../../src/env/system.js'
import { DockerExecutor, TaskError, type AssignedTask } from '../../src/executor/index.js'
import { predefinedNetworkLabel } from '../../src/model/objects.js'
import type { ContainerSpec } from '../../src/model/spec/index.js'
import { Dockerd } from '../lib/dockerd.js'
import { needs } from '../lib/needs.js'
import { aTask, dependencies } from './executor-suite.js'

const image = 'busybox:latest'
const never = new AbortController().signal

/** What a real container sees and gets, beyond the contract of all executors. */
describe('containers of dockerd', { skip: needs('engine') }, () => {
  let dockerd: Dockerd
  let engine: DockerEngine
  let executor: DockerExecutor
  let dataRoot = ''
  before(async () => {
    dockerd = await Dockerd.start()
    await dockerd.importBusybox(image)
    const env = systemEnv(silentLog)
    engine = await DockerEngine.open(env, dockerd.socketPath)
    dataRoot = mkdtempSync(join(tmpdir(), 'skep-executor-'))
    executor = new DockerExecutor(env, engine, {
      hostname: 'host1',
      labels: ['a=b'],
      genericResources: [],
      dataRoot,
    })
  })
  after(async () => {
    await executor?.close()
    await engine?.close()
    await dockerd?.stop()
    if (dataRoot !== '') rmSync(dataRoot, { recursive: true, force: true })
  })

  /** Runs a script to its end and returns what it wrote. */
  const output = async (script: string, spec: ContainerSpec, files: Record<string, string> = {}) => {
    const task = aTask({ Image: image, Command: ['sh', '-c', script], ...spec })
    const controller = executor.controller(task, dependencies(files))
    await controller.prepare(never)
    await controller.start(never)
    await controller.wait(never)
    let text = ''
    for await (const { data } of controller.logs({ follow: true, stdout: true, stderr: true }, never)) {
      text += data.toString('utf8')
    }
    return { text, task, controller }
  }

  const inspect = async (task: AssignedTask) => {
    const controller = executor.controller(task, dependencies())
    await controller.prepare(never)
    const id = (await controller.containerStatus())?.containerId ?? ''
    const answer = await engine.call({ method: 'GET', path: `/containers/${id}/json` })
    await controller.remove(never)
    return JSON.parse(answer.body.toString('utf8')) as {
      HostConfig: Record<string, unknown>
      Config: Record<string, unknown>
    }
  }

  it('see secrets and configs as read-only files with owner and mode', async () => {
    const { text, task, controller } = await output(
      'stat -c "%n %u:%g %a" /run/secrets/key /app.conf /etc/deep/other; cat /run/secrets/key /app.conf /etc/deep/other; ' +
        '(echo no > /run/secrets/key) 2>&1 || echo refused',
      {
        Secrets: [
          { SecretID: 's1', SecretName: 'key', File: { Name: 'key', UID: '33', GID: '34', Mode: 0o400 } },
          {
            SecretID: 's1',
            SecretName: 'key',
            File: { Name: '/etc/deep/other', UID: '0', GID: '0', Mode: 0o444 },
          },
        ],
        Configs: [
          { ConfigID: 'c1', ConfigName: 'conf', File: { Name: 'app.conf', UID: '0', GID: '0', Mode: 0o644 } },
        ],
      },
      { s1: 'hidden\n', c1: 'shown\n' },
    )
    assert.deepEqual(text.split('\n').slice(0, 6), [
      '/run/secrets/key 33:34 400',
      '/app.conf 0:0 644',
      '/etc/deep/other 0:0 444',
      'hidden',
      'shown',
      'hidden',
    ])
    assert.match(text, /Read-only file system/)
    assert.match(text, /^refused$/m)
    const find = () =>
      execFileSync('find', ['/dev/shm', '/run', dataRoot, '-path', `*${task.id}*`], { encoding: 'utf8' })
    assert.equal(find().trim().split('\n').length, 4, 'a folder with three files')
    await controller.remove(never)
    assert.equal(find(), '', 'nothing is left of the secrets')
  })

  it('see their templates expanded', async () => {
    const { text, controller } = await output(
      'cat /t; echo; hostname; echo $WHERE',
      {
        Hostname: '{{.Service.Name}}-x',
        Env: ['WHERE={{.Node.Hostname}}'],
        Configs: [{ ConfigID: 'c1', ConfigName: 't', File: { Name: 't', UID: '0', GID: '0', Mode: 0o444 } }],
      },
      { c1: '{{.Node.Hostname}}' },
    )
    // Without a templating driver the payload is taken as it is.
    assert.equal(text, '{{.Node.Hostname}}\nweb-x\nhost1\n')
    await controller.remove(never)
  })

  it('get user, folder, groups, tty, mounts and limits', async () => {
    const source = mkdtempSync(join(tmpdir(), 'skep-bind-'))
    chmodSync(source, 0o755)
    writeFileSync(join(source, 'f'), 'bound\n')
    mkdirSync(join(source, 'deep'))
    const { text, controller } = await output(
      'id -u; id -G; pwd; cat /bind/f; touch /bind/g 2>/dev/null || echo ro; df -k /tmpfs | tail -1; ulimit -n; cat /etc/hosts /etc/resolv.conf',
      {
        User: '65534:7',
        Groups: ['12'],
        Dir: '/tmp',
        Mounts: [
          { Type: 'bind', Source: source, Target: '/bind', ReadOnly: true },
          { Type: 'tmpfs', Target: '/tmpfs', TmpfsOptions: { SizeBytes: 1 << 20, Mode: 0o1777 } },
        ],
        Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
        Hosts: ['10.1.2.3 db db.local'],
        DNSConfig: { Nameservers: ['10.9.9.9'], Search: ['example.org'] },
      },
    )
    const [uid, groups, folder, bound, readOnly, tmpfs, files, ...rest] = text.split('\n')
    assert.equal(uid, '65534')
    assert.deepEqual(groups?.split(' ').sort(), ['12', '7'])
    assert.equal(folder, '/tmp')
    assert.equal(bound, 'bound')
    assert.equal(readOnly, 'ro')
    assert.match(tmpfs ?? '', /tmpfs\s+1024/)
    assert.equal(files, '100')
    assert.ok(rest.some((line) => /^10\.1\.2\.3\s+db$/.test(line)))
    assert.ok(rest.includes('nameserver 10.9.9.9') && rest.includes('search example.org'))
    await controller.remove(never)
    rmSync(source, { recursive: true, force: true })
  })

  it('are made with the limits, the security options and the network of the task', async () => {
    const task = {
      ...aTask({
        Image: image,
        Command: ['sleep', '1000'],
        ReadOnly: true,
        Init: true,
        CapabilityDrop: ['CAP_NET_RAW'],
        StopSignal: 'SIGINT',
        Privileges: { NoNewPrivileges: true, Seccomp: { Mode: 'unconfined' } },
        Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      }),
      networks: [
        {
          network: { id: 'n', spec: { Name: 'host', Labels: { [predefinedNetworkLabel]: 'true' } } },
          addresses: [],
          aliases: [],
        },
      ],
    }
    const resources = { Limits: { NanoCPUs: 5e8, MemoryBytes: 64 << 20, Pids: 50 } }
    const noSysctls = { ...task, spec: { ...task.spec, Resources: resources } }
    const { ContainerSpec: { Sysctls: _sysctls, ...spec } = {} } = task.spec
    const { HostConfig, Config } = await inspect({
      ...noSysctls,
      spec: { ...noSysctls.spec, ContainerSpec: spec },
    })
    assert.equal(HostConfig['NetworkMode'], 'host')
    assert.equal(HostConfig['Memory'], 64 << 20)
    assert.equal(HostConfig['NanoCpus'], 5e8)
    assert.equal(HostConfig['PidsLimit'], 50)
    assert.equal(HostConfig['ReadonlyRootfs'], true)
    assert.equal(HostConfig['Init'], true)
    assert.deepEqual(HostConfig['SecurityOpt'], ['seccomp=unconfined', 'no-new-privileges=true'])
    assert.equal(Config['StopSignal'], 'SIGINT')
  })

  it('fail to be made with a bind source that is not there', async () => {
    const controller = executor.controller(
      aTask({ Image: image, Mounts: [{ Type: 'bind', Source: '/no/such/place', Target: '/x' }] }),
      dependencies(),
    )
    await assert.rejects(controller.prepare(never), (error: unknown) => {
      assert.ok(error instanceof TaskError)
      assert.equal(error.message, 'invalid bind mount source, source path not found: /no/such/place')
      return true
    })
  })

  it('keep stdout and stderr apart, and long lines whole', async () => {
    const task = aTask({
      Image: image,
      Command: ['sh', '-c', 'echo err >&2; head -c 100000 /dev/zero | tr "\\0" x; echo'],
    })
    const controller = executor.controller(task, dependencies())
    await controller.prepare(never)
    await controller.start(never)
    await controller.wait(never)
    const bytes = { stdout: 0, stderr: 0 }
    for await (const { stream, data } of controller.logs(
      { follow: false, stdout: true, stderr: true },
      never,
    )) {
      bytes[stream] += data.length
    }
    assert.deepEqual(bytes, { stdout: 100_001, stderr: 4 })
    await controller.remove(never)
  })

  it('are unknown, not gone, while the engine is away', async () => {
    const away = await DockerEngine.open(systemEnv(silentLog), dockerd.socketPath)
    const other = new DockerExecutor(systemEnv(silentLog), away, {
      hostname: 'host1',
      labels: [],
      genericResources: [],
      dataRoot,
    })
    await away.close()
    const controller = other.controller(aTask({ Image: image }), dependencies())
    await assert.rejects(
      controller.prepare(never),
      (error: unknown) => error instanceof TaskError && error.temporary,
    )
    await other.close()
  })
})
