import assert from 'node:assert/strict'
import { createControl, type Control, type ControlContext } from '../../../src/control/index.js'
import { SwarmError, type ErrorCode } from '../../../src/model/errors.js'
import type { Cluster, Network, Node, Service } from '../../../src/model/objects.js'
import type { ServiceSpec } from '../../../src/model/spec/index.js'
import { defaultSwarmSpec } from '../../../src/model/cluster-defaults.js'
import { Store, type Tx } from '../../../src/store/store.js'
import { SimulatedEnv } from '../../lib/simulated-env.js'

/** A store whose log takes every entry at once, and the control API on it. */
export class Fixture {
  readonly env = new SimulatedEnv(7)
  readonly store: Store
  readonly control: Control
  #index = 0

  constructor(options: Partial<Pick<ControlContext, 'findLocalNetwork' | 'members'>> = {}) {
    this.store = new Store(this.env, {
      propose: (data) => {
        const index = ++this.#index
        queueMicrotask(() => this.store.apply(index, data))
        return index
      },
    })
    this.control = createControl(this.env, this.store, options)
  }

  write(fn: (tx: Tx) => void): Promise<void> {
    return this.store.update((tx) => {
      fn(tx)
    })
  }

  async addIngress(): Promise<Network> {
    await this.write((tx) =>
      tx.create('networks', { id: 'ingressid', spec: { Name: 'ingress', Driver: 'overlay', Ingress: true } }),
    )
    return this.get('networks', 'ingressid')
  }

  async addNode(id: string, fields: Partial<Node> = {}): Promise<Node> {
    await this.write((tx) =>
      tx.create('nodes', {
        id,
        spec: { Labels: {}, Role: fields.role ?? 'worker', Availability: 'active' },
        role: 'worker',
        description: { Hostname: id },
        status: { state: 'ready', message: '', addr: '10.0.0.1' },
        ...fields,
      }),
    )
    return this.get('nodes', id)
  }

  async addCluster(fields: Partial<Cluster> = {}): Promise<Cluster> {
    await this.write((tx) =>
      tx.create('clusters', {
        id: 'clusterid',
        spec: defaultSwarmSpec,
        rootCa: { certPem: 'root', keyPem: 'key', lastForcedRotation: 0 },
        joinTokens: { worker: 'w', manager: 'm' },
        defaultAddressPools: ['10.0.0.0/8'],
        subnetSize: 24,
        dataPathPort: 4789,
        blacklistedCertificates: {},
        ...fields,
      }),
    )
    return this.get('clusters', 'clusterid')
  }

  /** Makes a service and returns it as stored. */
  async addService(spec: ServiceSpec, registryAuth?: string): Promise<Service> {
    const { id } = await this.control.createService({
      spec,
      ...(registryAuth !== undefined && { registryAuth }),
    })
    return this.service(id)
  }

  service(id: string): Service {
    return this.get('services', id)
  }

  get<K extends 'services' | 'networks' | 'nodes' | 'clusters' | 'secrets' | 'configs' | 'tasks' | 'volumes'>(
    table: K,
    id: string,
  ) {
    const object = this.store.view[table].get(id)
    assert.ok(object, `${table} ${id}`)
    return object as NonNullable<ReturnType<Store['view'][K]['get']>>
  }

  /** Update of a service by a new spec, at its present version unless said otherwise. */
  update(
    service: Service,
    spec: ServiceSpec,
    more: Partial<Parameters<Control['updateService']>[0]> = {},
  ): Promise<void> {
    return this.control.updateService({
      id: service.id,
      version: this.service(service.id).version,
      spec,
      registryAuthFrom: 'spec',
      rollback: 'none',
      ...more,
    })
  }
}

export function aSpec(more: ServiceSpec = {}, container: object = {}, task: object = {}): ServiceSpec {
  return {
    Name: 'web',
    TaskTemplate: { ContainerSpec: { Image: 'busybox', ...container }, ...task },
    ...more,
  }
}

/** The call must fail with this code and exactly this text. */
export async function assertFails(call: Promise<unknown>, code: ErrorCode, message: string): Promise<void> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof SwarmError, `expected a SwarmError, got ${String(error)}`)
  assert.equal(error.message, message)
  assert.equal(error.code, code)
}

/** As `assertFails`, with gRPC's prefix before the text. */
export function assertRpcFails(call: Promise<unknown>, code: ErrorCode, description: string): Promise<void> {
  return assertFails(call, code, `rpc error: code = ${code} desc = ${description}`)
}
