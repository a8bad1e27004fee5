import { DatabaseError } from '../db/index.js'
import { SwarmError, errorText } from '../model/errors.js'

const damageCodes = ['SQLITE_CORRUPT', 'SQLITE_NOTADB']

/**
 * What is said of a manager's database that could not be read at the start. A disk that is full or a file that
 * may not be opened is another matter than content that is wrong: that does not pass.
 */
export function databaseFailure(path: string, error: unknown): Error {
  const known = error instanceof Error ? error : new Error(errorText(error))
  const isOther =
    error instanceof SwarmError ||
    (error instanceof DatabaseError && !damageCodes.some((code) => error.code.startsWith(code)))
  if (isOther) return known
  const wayOut =
    'If other managers are up, demote this node there with "docker node demote", run "docker swarm leave --force" here, and join it again. Else restore a backup'
  const text = `the database ${path} of this manager is damaged: ${known.message}. ${wayOut}`
  return new SwarmError('Internal', text, { cause: error })
}
