import { matchesLabels, type Filters } from '../http/filters.js'
import type { SwarmEvent } from '../../events/event.js'

/** Filter keys that name a kind of object: their values are beginnings of its ID or name. */
const objectKeys = [
  'daemon',
  'container',
  'plugin',
  'volume',
  'network',
  'node',
  'service',
  'secret',
  'config',
  'task',
]

/** Events of tasks are for those who ask for them: no other client knows the type. */
export function wantsTasks(filters: Filters): boolean {
  return filters.get('type').includes('task')
}

/**
 * Whether an event is wanted. Unknown keys mean nothing. Tasks are found by their node and service, too.
 * Behaviour: moby daemon/events/filter.go.
 */
export function isWanted(event: SwarmEvent, filters: Filters): boolean {
  return (
    filters.allows('event', event.action) &&
    filters.allows('type', event.type) &&
    filters.allows('scope', 'swarm') &&
    filters.allows('image', event.id) &&
    objectKeys.every(
      (key) =>
        filters.allowsPrefixOf(key, event.id) ||
        filters.allowsPrefixOf(key, event.attributes.name ?? '') ||
        (event.type === 'task' && isOf(key, event, filters)),
    ) &&
    matchesLabels(filters.get('label'), event.attributes)
  )
}

function isOf(key: string, { attributes }: SwarmEvent, filters: Filters): boolean {
  return [attributes[key], attributes[`${key}.name`]].some(
    (value) => value !== undefined && filters.allowsPrefixOf(key, value),
  )
}
