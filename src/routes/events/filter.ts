import { matchesLabels, type Filters } from '../http/filters.js'
import type { SwarmEvent } from './event.js'

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
]

/**
 * Whether an event is wanted. Unknown keys mean nothing.
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
        filters.allowsPrefixOf(key, event.id) || filters.allowsPrefixOf(key, event.attributes.name ?? ''),
    ) &&
    matchesLabels(filters.get('label'), event.attributes)
  )
}
