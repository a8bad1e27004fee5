import type { HostEngine } from '../../engine/interface.js'
import type { SwarmEvent } from '../../events/event.js'
import { engineEvents } from './engine.js'

const query = {
  filters: JSON.stringify({
    type: ['container'],
    event: ['health_status'],
    label: ['com.docker.swarm.task.id'],
  }),
}

/** What the engine writes, as far as it is needed. */
interface HealthLine {
  readonly Action?: string
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> }
}

/**
 * Tells how healthy the tasks of this node are, from now on: the cluster itself hears only of tasks that fail
 * for it.
 * @throws {SwarmError} as `engineEvents`.
 */
export function taskHealth(
  engine: HostEngine,
  signal: AbortSignal,
  onEvent: (event: SwarmEvent) => void,
): Promise<void> {
  return engineEvents(engine, query, signal, (line) => {
    const event = toHealthEvent(line)
    if (event !== undefined) onEvent(event)
  })
}

function toHealthEvent(line: string): SwarmEvent | undefined {
  const { Action = '', Actor } = JSON.parse(line) as HealthLine
  const labels = Actor?.Attributes ?? {}
  const id = labels['com.docker.swarm.task.id']
  const timeNs = /"timeNano":(\d+)/.exec(line)?.[1]
  if (id === undefined || timeNs === undefined || !Action.startsWith('health_status: ')) return undefined
  const attributes = {
    container: Actor?.ID,
    health: Action.slice('health_status: '.length),
    name: labels['com.docker.swarm.task.name'],
    node: labels['com.docker.swarm.node.id'],
    service: labels['com.docker.swarm.service.id'],
    'service.name': labels['com.docker.swarm.service.name'],
  }
  return {
    type: 'task',
    action: 'health',
    id,
    attributes: Object.fromEntries(
      Object.entries(attributes).filter((pair): pair is [string, string] => pair[1] !== undefined),
    ),
    timeNs: BigInt(timeNs),
  }
}
