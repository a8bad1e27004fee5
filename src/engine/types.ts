/**
 * The parts of Docker's JSON that Skep writes to and reads from an engine, in Docker's spelling.
 * Shapes: Docker Engine API v1.41.
 */

/** Body of `POST /containers/create`. */
export interface ContainerCreateBody {
  readonly Hostname?: string
  readonly Domainname?: string
  readonly User?: string
  readonly Tty?: boolean
  readonly OpenStdin?: boolean
  readonly AttachStdin?: boolean
  readonly AttachStdout?: boolean
  readonly AttachStderr?: boolean
  readonly StdinOnce?: boolean
  readonly Env?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly Entrypoint?: readonly string[] | null
  readonly Image: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly Volumes?: Readonly<Record<string, object>> | null
  readonly WorkingDir?: string
  readonly ExposedPorts?: Readonly<Record<string, object>> | null
  readonly StopSignal?: string
  /** Seconds. */
  readonly StopTimeout?: number
  readonly Healthcheck?: HealthConfig | null
  readonly HostConfig?: HostConfig | null
  readonly NetworkingConfig?: NetworkingConfig | null
}

/** Times in nanoseconds; 0 = inherit. `Test: ["NONE"]` switches the image's check off. */
export interface HealthConfig {
  readonly Test?: readonly string[] | null
  readonly Interval?: number
  readonly Timeout?: number
  readonly Retries?: number
  readonly StartPeriod?: number
  readonly StartInterval?: number
}

export interface HostConfig {
  readonly Binds?: readonly string[] | null
  readonly Mounts?: readonly EngineMount[] | null
  readonly Tmpfs?: Readonly<Record<string, string>> | null
  readonly NetworkMode?: string
  readonly PortBindings?: Readonly<Record<string, readonly PortBinding[] | null>> | null
  readonly PublishAllPorts?: boolean
  readonly AutoRemove?: boolean
  readonly RestartPolicy?: { readonly Name?: string; readonly MaximumRetryCount?: number }
  readonly LogConfig?: { readonly Type?: string; readonly Config?: Readonly<Record<string, string>> | null }
  readonly Memory?: number
  readonly MemorySwap?: number
  readonly MemorySwappiness?: number
  readonly MemoryReservation?: number
  readonly NanoCpus?: number
  readonly CpuPeriod?: number
  readonly CpuQuota?: number
  readonly PidsLimit?: number
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[] | null
  readonly CapAdd?: readonly string[] | null
  readonly CapDrop?: readonly string[] | null
  readonly Dns?: readonly string[] | null
  readonly DnsOptions?: readonly string[] | null
  readonly DnsSearch?: readonly string[] | null
  readonly ExtraHosts?: readonly string[] | null
  readonly GroupAdd?: readonly string[] | null
  readonly ReadonlyRootfs?: boolean
  readonly SecurityOpt?: readonly string[] | null
  readonly Sysctls?: Readonly<Record<string, string>> | null
  readonly Init?: boolean | null
  readonly Isolation?: string
  readonly OomScoreAdj?: number
  readonly Privileged?: boolean
  readonly ShmSize?: number
  readonly Devices?: readonly object[] | null
}

export interface EngineMount {
  readonly Type: string
  readonly Source?: string
  readonly Target: string
  readonly ReadOnly?: boolean
  readonly Consistency?: string
  readonly BindOptions?: object
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean
    readonly Labels?: Readonly<Record<string, string>> | null
    readonly DriverConfig?: {
      readonly Name?: string
      readonly Options?: Readonly<Record<string, string>> | null
    } | null
  }
  readonly TmpfsOptions?: object
  readonly ImageOptions?: object
}

/** `HostPort` "" or "0": the engine picks one. */
export interface PortBinding {
  readonly HostIp?: string
  readonly HostPort?: string
}

export interface NetworkingConfig {
  readonly EndpointsConfig?: Readonly<Record<string, object>> | null
}

export type HealthStatus = 'starting' | 'healthy' | 'unhealthy' | 'none'

/** What Skep reads of `GET /containers/{id}/json`. */
export interface ContainerInspect {
  readonly Id: string
  readonly Name: string
  readonly Image: string
  readonly Created: string
  readonly State: {
    readonly Status: string
    readonly Running: boolean
    readonly Pid: number
    readonly ExitCode: number
    readonly Error: string
    readonly OOMKilled: boolean
    readonly StartedAt: string
    readonly FinishedAt: string
    readonly Health?: { readonly Status: string } | null
  }
  readonly Config: {
    readonly Image: string
    readonly Tty: boolean
    readonly Labels: Readonly<Record<string, string>> | null
    readonly Healthcheck?: HealthConfig | null
  }
  readonly NetworkSettings: {
    readonly Ports?: Readonly<Record<string, readonly PortBinding[] | null>> | null
  }
}

/** One object of `GET /events`. */
export interface EngineEvent {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  readonly scope: 'local'
  readonly time: number
  readonly timeNano: number
}
