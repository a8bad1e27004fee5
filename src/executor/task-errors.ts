import { TaskError } from './interface.js'

/** Texts of moby daemon/cluster/executor/container/errors.go, which users search for. */
export const unhealthyText = 'dockerexec: unhealthy container'
export const destroyedText = 'dockerexec: container destroyed'
export const imageRequiredText = 'dockerexec: image required'

/**
 * How a container's end is reported: undefined for a good one.
 * @param cause why it ended, where that is known: `dockerexec: unhealthy container`.
 *
 * An unhealthy container that was stopped and then ended with 0 has still failed: Docker reports it as
 * complete, so that `on-failure` leaves the service without its task.
 */
export function exitError(exitCode: number, cause = ''): TaskError | undefined {
  if (exitCode === 0) return cause === unhealthyText ? new TaskError(cause, { exitCode }) : undefined
  const text = `task: non-zero exit (${exitCode})`
  return new TaskError(cause === '' ? text : `${text}: ${cause}`, { exitCode })
}

export function startError(text: string, options: { cause?: unknown; temporary?: boolean } = {}): TaskError {
  return new TaskError(`starting container failed: ${text}`, options)
}
