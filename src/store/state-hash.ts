import { createHash } from 'node:crypto'
import { tableNames } from '../model/objects.js'
import type { View } from './schema.js'

/** A hash of every object: equal on all members at equal index, or one of them has gone astray. */
export function stateHash(view: View): string {
  const hash = createHash('sha256')
  for (const table of tableNames) {
    for (const object of view[table].list()) hash.update(`${table} ${JSON.stringify(object)}\n`)
  }
  return hash.digest('hex')
}
