/** Error classes as gRPC, and so swarmkit, names them. `routes` alone maps them to HTTP statuses. */
export type ErrorCode =
  | 'InvalidArgument'
  | 'FailedPrecondition'
  | 'OutOfRange'
  | 'Unauthenticated'
  | 'PermissionDenied'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Unimplemented'
  | 'Unavailable'
  | 'DeadlineExceeded'
  | 'Aborted'
  | 'Internal'
  | 'Unknown'

/** An expected failure. `message` is the whole text that a user sees. */
export class SwarmError extends Error {
  override readonly name = 'SwarmError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * A failure of a cluster operation. dockerd shows these with gRPC's prefix, which clients match on:
 * `rpc error: code = NotFound desc = service web not found`.
 */
export function clusterError(code: ErrorCode, description: string, options?: ErrorOptions): SwarmError {
  return new SwarmError(code, `rpc error: code = ${code} desc = ${description}`, options)
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Whether the one that was asked may be busy or about to start, or another one may answer. */
export function isPassing(error: unknown): error is SwarmError {
  return error instanceof SwarmError && (error.code === 'Unavailable' || error.code === 'DeadlineExceeded')
}
