/** What of a container's log is wanted. */
export interface LogOptions {
  readonly follow: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Unix ms; only messages at or after it. */
  readonly sinceMs?: number
  /** Only the last so many messages of each container; absent = all. */
  readonly tail?: number
}

export interface LogMessage {
  readonly stream: 'stdout' | 'stderr'
  /** Unix nanoseconds. */
  readonly timestampNs: bigint
  /** Key-value pairs that the container's log options ask for. */
  readonly attrs: Readonly<Record<string, string>>
  /** With its newline, unless the container wrote none. */
  readonly data: Buffer
}

/** Which tasks' logs are wanted: all of some services, or single tasks. */
export interface LogSelector {
  readonly serviceIds: readonly string[]
  readonly taskIds: readonly string[]
}

export interface TaskLogMessage extends LogMessage {
  readonly nodeId: string
  readonly serviceId: string
  readonly taskId: string
}
