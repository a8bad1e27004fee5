import { parseDurationMs } from './duration.js'
import { SwarmError } from './errors.js'
import type { Cluster, Node } from './objects.js'
import { formatTime } from './time.js'

/**
 * Label of the swarm's spec: how long the tasks of nodes stay where they are after more than a third of all
 * nodes have vanished at once. A duration as Go writes it; `0s` moves them at once.
 */
export const brakeDelayLabel = 'skep.brake.delay'
const defaultBrakeDelayMs = 60_000
const maxBrakeDelayMs = 24 * 60 * 60 * 1000

/** @throws {SwarmError} InvalidArgument for a malformed label. */
export function checkBrakeLabel(labels: Readonly<Record<string, string>>): void {
  readDelayMs(labels)
}

/** What the swarm's spec says, or the default. */
export function brakeDelayMs(view: { readonly clusters: { list(): readonly Cluster[] } }): number {
  const [cluster] = view.clusters.list()
  return readDelayMs(cluster?.spec.Labels ?? {}) ?? defaultBrakeDelayMs
}

function readDelayMs(labels: Readonly<Record<string, string>>): number | undefined {
  const text = labels[brakeDelayLabel]
  if (text === undefined) return undefined
  try {
    const delayMs = parseDurationMs(text)
    if (delayMs >= 0 && delayMs <= maxBrakeDelayMs) return delayMs
  } catch {
    // Said below, with what would be right.
  }
  throw new SwarmError(
    'InvalidArgument',
    `invalid label ${brakeDelayLabel}=${text}: must be a duration of at most 24h such as 90s or 5m, or 0s`,
  )
}

/** What `/info` says while tasks of nodes that vanished are kept where they are. */
export function brakeWarnings(nodes: readonly Node[]): readonly string[] {
  const held = nodes.flatMap(({ status }) => status.tasksHeldUntilMs ?? [])
  if (held.length === 0) return []
  const until = formatTime(Math.max(...held))
  return [
    `WARNING: ${held.length} of ${nodes.length} nodes vanished at once. Their tasks stay where they are until ${until} (swarm label ${brakeDelayLabel}); then they are moved to other nodes.`,
  ]
}
