import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { createApp } from '../../../src/app.js'
import type { Control } from '../../../src/control/interface.js'
import { createControl } from '../../../src/control/control.js'
import type {
  EngineRequest,
  EngineResponse,
  EngineStreamResponse,
  HostEngine,
} from '../../../src/engine/interface.js'
import type { Env } from '../../../src/env/env.js'
import { Sealer } from '../../../src/db/index.js'
import { EventLog } from '../../../src/events/event-log.js'
import type { SwarmError } from '../../../src/model/errors.js'
import type { BackupManifest } from '../../../src/node/backup/format.js'
import type { LogOptions, LogSelector, TaskLogMessage } from '../../../src/model/logs.js'
import type { Backend, ManagerBackend, SwarmBackend, SwarmStatus } from '../../../src/routes/backend.js'
import { Store } from '../../../src/store/store.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

/** A store whose log is only this process: what is proposed is applied in the next turn. */
export function soloStore(env: Env): Store {
  let index = 0
  const store: Store = new Store(env, {
    propose(data) {
      index = Math.max(index, store.appliedIndex) + 1
      const at = index
      queueMicrotask(() => store.apply(at, data))
      return at
    },
  })
  return store
}

export type Answer = (request: EngineRequest) => { status: number; json?: unknown; text?: string } | undefined

/** An engine that answers what a test tells it, and notes what came. */
export class FakeEngine implements HostEngine {
  kind: HostEngine['kind'] = 'docker'
  readonly description = 'fake engine'
  readonly apiVersion = '1.41'
  readonly minApiVersion = '1.12'
  readonly calls: EngineRequest[] = []
  readonly passed: { method: string; path: string; apiVersion: string; body: string }[] = []
  readonly upgraded: { path: string; apiVersion: string }[] = []
  answer: Answer = () => undefined
  events: AsyncIterable<Buffer> = (async function* () {})()

  call(request: EngineRequest): Promise<EngineResponse> {
    this.calls.push(request)
    const { status, json, text } = this.answer(request) ?? {
      status: 404,
      json: { message: 'page not found' },
    }
    const body = Buffer.from(text ?? (json === undefined ? '' : `${JSON.stringify(json)}\n`))
    return Promise.resolve({ status, headers: { 'content-type': 'application/json' }, body })
  }

  stream(request: EngineRequest, _signal: AbortSignal): Promise<EngineStreamResponse> {
    this.calls.push(request)
    return Promise.resolve({ status: 200, body: this.events })
  }

  passThrough(request: IncomingMessage, response: ServerResponse, path: string, apiVersion: string): void {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      this.passed.push({
        method: request.method ?? '',
        path,
        apiVersion,
        body: Buffer.concat(chunks).toString(),
      })
      response.writeHead(200, { 'X-Engine': 'fake' })
      response.end('from the engine')
    })
  }

  upgrade(_request: IncomingMessage, socket: Duplex, head: Buffer, path: string, apiVersion: string): void {
    this.upgraded.push({ path, apiVersion })
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export interface FakeSwarm extends SwarmBackend {
  state: SwarmStatus
  /** Thrown by `manager()` if set. */
  refusal: SwarmError | undefined
  logMessages: (
    selector: LogSelector,
    options: LogOptions,
    signal: AbortSignal,
  ) => AsyncIterable<TaskLogMessage>
  calls: { name: string; argument: unknown }[]
}

export interface TestApp {
  readonly app: FastifyInstance
  readonly env: Env
  readonly store: Store
  readonly control: Control
  readonly engine: FakeEngine
  readonly swarm: FakeSwarm
}

export const tlsInfo = {
  TrustRoot: '-----BEGIN CERTIFICATE-----\nFAKEFAKEFAKEFAKE\n-----END CERTIFICATE-----\n',
  CertIssuerSubject: 'MBMxETAPBgNVBAMTCHN3YXJtLWNh',
  CertIssuerPublicKey:
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9RHtUszxcXGAzmgtSb7PPB/xdH2tNPnldjszriIEHjRfQzQRmjjd90Lj7vquGWqZlKiMq+2wdeSdHAJSyyaGoA==',
}

export const activeManager: SwarmStatus = {
  state: 'active',
  nodeId: '4sw12oa9y4j3rpem6rthv2a6w',
  nodeAddr: '10.99.0.2',
  error: '',
  controlAvailable: true,
  remoteManagers: [{ nodeId: '4sw12oa9y4j3rpem6rthv2a6w', addr: '10.99.0.2:2377' }],
  warnings: [],
}

export const inactive: SwarmStatus = {
  state: 'inactive',
  nodeId: '',
  nodeAddr: '',
  error: '',
  controlAvailable: false,
  remoteManagers: [],
  warnings: [],
}

export const recovered = {
  nodeId: activeManager.nodeId,
  advertiseAddr: '10.99.0.2:2377',
  formerManagers: [{ nodeId: 'gone', hostname: 'node-c' }],
  nodes: 2,
  services: 0,
  secrets: 0,
  configs: 0,
  networks: 1,
}

export const manifest: BackupManifest = {
  format: 'skep-backup',
  version: 1,
  createdAt: '2026-01-01T00:00:00Z',
  clusterId: 'cluster',
  nodeId: activeManager.nodeId,
  hostname: 'node-b',
  lockedBy: 'backupKey',
}

async function* backupContent(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from('a backup'))
}

/** The app on a real store with real checked writes, one manager, and an engine that a test speaks for. */
export function testApp(env: Env = new SimulatedEnv(1), bodyLimitBytes?: number): TestApp {
  const store = soloStore(env)
  const events = new EventLog(env, { read: () => Promise.resolve([]) }, Sealer.of(new Uint8Array(32)))
  store.watch((commit) => events.onCommit(commit))
  const control = createControl(env, store)
  const engine = new FakeEngine()
  const calls: FakeSwarm['calls'] = []
  const note =
    <T>(name: string, result: T) =>
    (argument: unknown): Promise<T> => {
      calls.push({ name, argument })
      return Promise.resolve(result)
    }
  const managerBackend: ManagerBackend = {
    view: store.view,
    events,
    managerStatus: (node) =>
      node.role === 'manager'
        ? { leader: true, reachability: 'reachable', addr: node.managerAddr ?? '' }
        : undefined,
    rootRotationInProgress: false,
    tlsInfo,
    control,
    logs: (selector, options, signal) => swarm.logMessages(selector, options, signal),
  }
  const swarm: FakeSwarm = {
    state: activeManager,
    refusal: undefined,
    calls,
    logMessages: async function* () {},
    status: () => swarm.state,
    init: note('init', '4sw12oa9y4j3rpem6rthv2a6w'),
    join: note('join', undefined),
    leave: note('leave', undefined),
    unlock: note('unlock', undefined),
    recover: note('recover', recovered),
    backup: (request) => {
      calls.push({ name: 'backup', argument: request })
      return Promise.resolve({ manifest, content: backupContent() })
    },
    restore: async (archive, request) => {
      const pieces: Uint8Array[] = []
      for await (const piece of archive) pieces.push(piece)
      calls.push({ name: 'restore', argument: { ...request, archive: Buffer.concat(pieces).toString() } })
      return manifest
    },
    manager: () =>
      swarm.refusal === undefined ? Promise.resolve(managerBackend) : Promise.reject(swarm.refusal),
    localManager: () => (swarm.state.controlAvailable ? managerBackend : undefined),
  }
  const backend: Backend = {
    swarm,
    engine,
    daemon: {
      version: '0.1.0',
      gitCommit: 'abc',
      hostname: 'node-b',
      dataRoot: '/var/lib/skep',
      debug: false,
      labels: [],
    },
  }
  const app = createApp(env, backend, bodyLimitBytes === undefined ? {} : { bodyLimitBytes })
  return { app, env, store, control, engine, swarm }
}
