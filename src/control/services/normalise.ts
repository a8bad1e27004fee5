import { SwarmError } from '../../model/errors.js'
import {
  canonical,
  mountPropagations,
  mountTypes,
  ServiceSpecSchema,
  type ContainerSpec,
  type EndpointSpec,
  type Mount,
  type Placement,
  type PortConfig,
  type RestartPolicy,
  type ServiceMode,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from '../../model/spec/index.js'

/**
 * Turns what a user sent into the spec that is stored: Docker's defaults filled in, members in canonical
 * form. Checks here what Docker's engine checks before its cluster sees the spec; such errors have no
 * `rpc error` prefix.
 * @throws {SwarmError} InvalidArgument.
 * Behaviour: moby daemon/cluster/convert/service.go, container.go.
 */
export function normaliseServiceSpec(spec: ServiceSpec): ServiceSpec {
  const { PluginSpec: _plugin, NetworkAttachmentSpec: _attachment, ...task } = spec.TaskTemplate ?? {}
  const runtime = normaliseRuntime(spec.TaskTemplate ?? {}, spec.Mode)
  const normal: ServiceSpec = {
    ...spec,
    TaskTemplate: {
      ...task,
      ...runtime,
      ...(task.RestartPolicy !== undefined && { RestartPolicy: normaliseRestartPolicy(task.RestartPolicy) }),
      ...(task.Placement !== undefined && { Placement: normalisePlacement(task.Placement) }),
    },
    ...(spec.UpdateConfig !== undefined && { UpdateConfig: normaliseUpdateConfig(spec.UpdateConfig) }),
    ...(spec.RollbackConfig !== undefined && { RollbackConfig: normaliseUpdateConfig(spec.RollbackConfig) }),
    ...(spec.EndpointSpec !== undefined && { EndpointSpec: normaliseEndpointSpec(spec.EndpointSpec) }),
    Mode: normaliseMode(spec.Mode ?? {}),
  }
  return canonical(ServiceSpecSchema, normal)
}

function invalid(message: string): SwarmError {
  return new SwarmError('InvalidArgument', message)
}

function normaliseRuntime(task: TaskSpec, mode: ServiceMode | undefined): TaskSpec {
  switch (task.Runtime ?? '') {
    case '':
    case 'container':
      if (task.ContainerSpec === undefined) throw invalid('mismatched Runtime and *Spec fields')
      checkSwap(task)
      return { Runtime: 'container', ContainerSpec: normaliseContainerSpec(task.ContainerSpec) }
    case 'plugin':
      if (task.PluginSpec === undefined) throw invalid('mismatched Runtime and *Spec fields')
      if (mode?.Replicated !== undefined) throw invalid('plugins must not use replicated mode')
      // Docker has them behind its experimental switch, which Skep has not.
      throw new SwarmError('Unknown', 'runtime type "plugin" only supported in experimental')
    default:
      throw invalid('unsupported runtime')
  }
}

function checkSwap({ Resources: resources }: TaskSpec): void {
  if ((resources?.SwapBytes ?? 0) !== 0 && (resources?.Limits?.MemoryBytes ?? 0) === 0) {
    throw invalid('memory swap provided, but no memory-limit was set')
  }
}

function normaliseContainerSpec(spec: ContainerSpec): ContainerSpec {
  checkCredentialSpec(spec)
  for (const config of spec.Configs ?? []) {
    if (config.File === undefined && config.Runtime === undefined) {
      throw invalid('invalid Config: either File or Runtime should be set')
    }
    if (config.File !== undefined && config.Runtime !== undefined) {
      throw invalid('invalid Config: cannot specify both File and Runtime')
    }
  }
  const isolation = spec.Isolation?.toLowerCase() ?? ''
  return {
    ...spec,
    ...(spec.Mounts !== undefined && { Mounts: spec.Mounts.map(normaliseMount) }),
    Isolation: ['process', 'hyperv'].includes(isolation) ? isolation : 'default',
  }
}

function checkCredentialSpec(spec: ContainerSpec): void {
  const credentials = spec.Privileges?.CredentialSpec
  if (credentials === undefined) return
  const given = (['Config', 'File', 'Registry'] as const)
    .filter((kind) => (credentials[kind] ?? '') !== '')
    .map((kind) => `"${kind.toLowerCase()}"`)
  const [first, second, third] = given
  if (first === undefined) {
    throw invalid(
      'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
    )
  }
  if (third !== undefined) {
    throw invalid(
      `invalid CredentialSpec: cannot specify both ${first}, ${second}, and ${third} credential specs`,
    )
  }
  if (second !== undefined) {
    throw invalid(`invalid CredentialSpec: cannot specify both ${first} and ${second} credential specs`)
  }
}

function normaliseMount(mount: Mount): Mount {
  const type = mount.Type?.toLowerCase() ?? ''
  if (type !== '' && !(mountTypes as readonly string[]).includes(type)) {
    throw invalid(`invalid MountType: ${JSON.stringify(mount.Type)}`)
  }
  const propagation = mount.BindOptions?.Propagation ?? ''
  if (propagation !== '' && !(mountPropagations as readonly string[]).includes(propagation.toLowerCase())) {
    throw invalid(`invalid MountPropagation: ${JSON.stringify(propagation)}`)
  }
  // Docker forgets the consistency, which only macOS knew.
  const { BindOptions: _options, Consistency: _consistency, ...rest } = mount
  const options = normaliseBindOptions(mount.BindOptions ?? {})
  return {
    ...rest,
    Type: type === '' ? 'bind' : type,
    ...(options !== undefined && { BindOptions: options }),
  }
}

/** Without any word they are as good as absent; with any, the propagation gets its default. */
function normaliseBindOptions({
  Propagation: propagation = '',
  ...flags
}: NonNullable<Mount['BindOptions']>) {
  if (propagation === '' && !Object.values(flags).includes(true)) return undefined
  return { ...flags, Propagation: propagation === '' ? 'rprivate' : propagation.toLowerCase() }
}

function normaliseRestartPolicy(policy: RestartPolicy): RestartPolicy {
  const condition = policy.Condition ?? ''
  if (!['', 'none', 'on-failure', 'any'].includes(condition)) {
    throw invalid(`invalid RestartCondition: ${JSON.stringify(condition)}`)
  }
  return { ...policy, Condition: condition === '' ? 'any' : condition }
}

/** A preference of a kind that nobody knows is no preference. */
function normalisePlacement(placement: Placement): Placement {
  const { Preferences: preferences = [] } = placement
  return { ...placement, Preferences: preferences.filter(({ Spread: spread }) => spread !== undefined) }
}

function normaliseUpdateConfig(config: UpdateConfig): UpdateConfig {
  const action = config.FailureAction ?? ''
  const order = config.Order ?? ''
  if (!['', 'pause', 'continue', 'rollback'].includes(action)) {
    throw invalid(`unrecognized update failure action ${action}`)
  }
  if (!['', 'stop-first', 'start-first'].includes(order)) {
    throw invalid(`unrecognized update order ${order}`)
  }
  return {
    ...config,
    FailureAction: action === '' ? 'pause' : action,
    Order: order === '' ? 'stop-first' : order,
  }
}

function normaliseEndpointSpec(spec: EndpointSpec): EndpointSpec {
  const mode = spec.Mode ?? ''
  if (!['', 'vip', 'dnsrr'].includes(mode)) throw invalid(`invalid resolution mode: ${JSON.stringify(mode)}`)
  return {
    Mode: mode === '' ? 'vip' : mode,
    ...(spec.Ports !== undefined && { Ports: spec.Ports.map(normalisePort) }),
  }
}

/** Unlike all else, words that Docker does not know are read as its defaults here. */
function normalisePort(port: PortConfig): PortConfig {
  const protocol = port.Protocol?.toLowerCase() ?? ''
  const publishMode = port.PublishMode?.toLowerCase() ?? ''
  return {
    ...port,
    Protocol: ['udp', 'sctp'].includes(protocol) ? protocol : 'tcp',
    PublishMode: publishMode === 'host' ? publishMode : 'ingress',
  }
}

function normaliseMode(mode: ServiceMode): ServiceMode {
  const { Replicated: replicated, ReplicatedJob: job } = mode
  const given = [replicated, mode.Global, job, mode.GlobalJob].filter((one) => one !== undefined)
  if (given.length > 1) throw invalid('must specify only one service mode')
  if (mode.Global !== undefined) return { Global: {} }
  if (mode.GlobalJob !== undefined) return { GlobalJob: {} }
  if (job === undefined) return { Replicated: { Replicas: replicated?.Replicas ?? 1 } }
  const concurrent = job.MaxConcurrent ?? 1
  return {
    ReplicatedJob: { MaxConcurrent: concurrent, TotalCompletions: job.TotalCompletions ?? concurrent },
  }
}
