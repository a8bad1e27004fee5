import { second } from '../../model/duration.js'
import type { ContainerSpec, ServiceSpec, UpdateConfig } from '../../model/spec/index.js'

const updateDefaults: UpdateConfig = {
  Parallelism: 1,
  FailureAction: 'pause',
  Monitor: 5 * second,
  MaxFailureRatio: 0,
  Order: 'stop-first',
}

/** The spec with Docker's defaults where it is silent. Source: moby/swarmkit api/defaults/service.go. */
export function withDefaults(spec: ServiceSpec): ServiceSpec {
  const { TaskTemplate: task = {} } = spec
  return {
    ...spec,
    TaskTemplate: {
      ...task,
      ...(task.ContainerSpec !== undefined && { ContainerSpec: containerWithDefaults(task.ContainerSpec) }),
      Resources: task.Resources ?? {},
      RestartPolicy: { Condition: 'any', Delay: 5 * second, MaxAttempts: 0, ...task.RestartPolicy },
      Placement: task.Placement ?? {},
    },
    UpdateConfig: updateWithDefaults(spec.UpdateConfig),
    RollbackConfig: updateWithDefaults(spec.RollbackConfig),
  }
}

function containerWithDefaults(container: ContainerSpec): ContainerSpec {
  return { StopGracePeriod: 10 * second, DNSConfig: {}, ...container }
}

function updateWithDefaults(config: UpdateConfig | undefined): UpdateConfig {
  return config === undefined ? updateDefaults : { Monitor: 5 * second, ...config }
}
