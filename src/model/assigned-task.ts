import type { Network, Task } from './objects.js'

/** A task as its node sees it: with copies of the networks it is attached to. */
export interface AssignedTask extends Pick<
  Task,
  | 'id'
  | 'version'
  | 'spec'
  | 'serviceId'
  | 'slot'
  | 'nodeId'
  | 'serviceAnnotations'
  | 'desiredState'
  | 'status'
  | 'endpoint'
  | 'logDriver'
  | 'assignedGenericResources'
  | 'registryAuth'
  | 'jobIteration'
> {
  readonly networks: readonly {
    readonly network: Pick<Network, 'id' | 'spec' | 'driverState' | 'ipam'>
    readonly addresses: readonly string[]
    readonly aliases: readonly string[]
  }[]
}
