import { clusterError } from '../../model/errors.js'
import type { Network, Service } from '../../model/objects.js'
import type { PortConfig, ServiceSpec } from '../../model/spec/index.js'
import type { View } from '../../store/store.js'

/** Networks that the tasks of a spec join by name; the old place counts only where the new one is empty. */
export function attachedNetworks(spec: ServiceSpec) {
  const own = spec.TaskTemplate?.Networks ?? []
  return own.length > 0 ? own : (spec.Networks ?? [])
}

/** Whether the service joins the routing mesh. */
export function needsIngress(spec: ServiceSpec): boolean {
  return (spec.EndpointSpec?.Ports ?? []).some(({ PublishMode: mode }) => mode === 'ingress')
}

/** The network of the routing mesh, if it has not been removed. */
export function ingressNetwork(view: View): Network | undefined {
  return view.networks.list().find(({ spec }) => spec.Ingress === true)
}

/**
 * Refuses the routing mesh as an ordinary network: a service joins it by its ports.
 * @throws {SwarmError} InvalidArgument.
 */
export function checkNoIngressAttachment(view: View, spec: ServiceSpec): void {
  for (const { Target: target = '' } of attachedNetworks(spec)) {
    const network = view.networks.get(target)
    if (network?.spec.Ingress === true) {
      throw clusterError(
        'InvalidArgument',
        `Service cannot be explicitly attached to the ingress network ${JSON.stringify(network.spec.Name)}`,
      )
    }
  }
}

/** @throws {SwarmError} FailedPrecondition. */
export function checkIngressPresent(view: View, spec: ServiceSpec): void {
  if (needsIngress(spec) && ingressNetwork(view) === undefined) {
    throw clusterError(
      'FailedPrecondition',
      'service needs ingress network, but no ingress network is present',
    )
  }
}

/**
 * Refuses ports that another service has, whether it asked for them or was given them. Two services may
 * publish one port in host mode: the scheduler keeps them on different nodes.
 * @param ownId the service itself, on update.
 * @throws {SwarmError} InvalidArgument.
 * Behaviour: moby/swarmkit manager/controlapi/service.go, checkPortConflicts.
 */
export function checkPortConflicts(view: View, spec: ServiceSpec, ownId?: string): void {
  const modes = new Map<string, Set<string>>()
  for (const port of published(spec.EndpointSpec?.Ports)) {
    const key = portKey(port)
    modes.set(key, (modes.get(key) ?? new Set()).add(port.PublishMode ?? ''))
  }
  if (modes.size === 0) return
  const others = new Map(
    [...modes.keys()].flatMap((key) => view.services.by('publishedPort', key)).map((one) => [one.id, one]),
  )
  others.delete(ownId ?? '')
  for (const service of [...others.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const port of [
      ...published(service.spec.EndpointSpec?.Ports),
      ...published(service.endpoint?.ports),
    ]) {
      const wanted = modes.get(portKey(port))
      const isHost = port.PublishMode === 'host'
      if (wanted === undefined || (isHost && !wanted.has('ingress'))) continue
      throw portConflict(service, port, isHost ? 'a host-published port' : 'an ingress port')
    }
  }
}

function published(ports: readonly PortConfig[] | undefined): readonly PortConfig[] {
  return (ports ?? []).filter(({ PublishedPort: number }) => (number ?? 0) !== 0)
}

function portKey({ PublishedPort: number, Protocol: protocol }: PortConfig): string {
  return `${number}/${protocol ?? 'tcp'}`
}

function portConflict(service: Service, port: PortConfig, as: string) {
  return clusterError(
    'InvalidArgument',
    `port '${port.PublishedPort}' is already in use by service '${service.spec.Name}' (${service.id}) as ${as}`,
  )
}
