import type {
  ConfigSpec,
  NetworkSpec,
  NodeSpec,
  SecretSpec,
  ServiceSpec,
  SwarmSpec,
  VolumeCreateOptions,
} from '../model/spec/index.js'

/**
 * Checked writes: what the API does to the cluster. Every one resolves after its commit. Arguments and
 * results are plain JSON, so that a follower can hand a call to the leader. `id` is a whole ID, a whole
 * name or an ID prefix, as in a path of the API. Errors are `SwarmError`s with Docker's texts.
 */
export interface Control {
  createService(args: {
    readonly spec: ServiceSpec
    readonly registryAuth?: string
  }): Promise<{ readonly id: string }>
  updateService(args: {
    readonly id: string
    readonly version: number
    readonly spec: ServiceSpec
    readonly registryAuth?: string
    readonly registryAuthFrom: 'spec' | 'previous-spec'
    readonly rollback: 'none' | 'previous'
  }): Promise<void>
  /** Goes back to a former spec of the service, by its number. */
  rollbackService(args: { readonly id: string; readonly revision: number }): Promise<void>
  removeService(args: { readonly id: string }): Promise<void>
  /** Asks for the tasks of services to be spread anew. `ids` are whole IDs. */
  requestRebalance(args: { readonly ids: readonly string[] }): Promise<void>
  updateNode(args: { readonly id: string; readonly version: number; readonly spec: NodeSpec }): Promise<void>
  removeNode(args: { readonly id: string; readonly force: boolean }): Promise<void>
  createNetwork(args: { readonly spec: NetworkSpec }): Promise<{ readonly id: string }>
  removeNetwork(args: { readonly id: string }): Promise<void>
  createSecret(args: { readonly spec: SecretSpec }): Promise<{ readonly id: string }>
  updateSecret(args: {
    readonly id: string
    readonly version: number
    readonly spec: SecretSpec
  }): Promise<void>
  removeSecret(args: { readonly id: string }): Promise<void>
  createConfig(args: { readonly spec: ConfigSpec }): Promise<{ readonly id: string }>
  updateConfig(args: {
    readonly id: string
    readonly version: number
    readonly spec: ConfigSpec
  }): Promise<void>
  removeConfig(args: { readonly id: string }): Promise<void>
  createVolume(args: { readonly options: VolumeCreateOptions }): Promise<{ readonly id: string }>
  /** Without `availability` nothing changes. */
  updateVolume(args: {
    readonly id: string
    readonly version: number
    readonly availability?: string
  }): Promise<void>
  removeVolume(args: { readonly id: string; readonly force: boolean }): Promise<void>
  updateSwarm(args: {
    readonly version: number
    readonly spec: SwarmSpec
    readonly rotateWorkerToken: boolean
    readonly rotateManagerToken: boolean
    readonly rotateManagerUnlockKey: boolean
  }): Promise<void>
}
