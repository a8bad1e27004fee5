import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { SwarmError } from '../../model/errors.js'
import { syncFile, type SwarmDirectory } from '../state-file.js'
import { readBackup, type BackupManifest } from './format.js'

const fileNames: readonly string[] = [
  'node-state.json',
  'certificates/swarm-root-ca.crt',
  'certificates/swarm-node.crt',
  'certificates/swarm-node.key',
  'raft/manager.db',
]

/**
 * Unpacks a backup into a directory that is empty and counts as nothing yet.
 * @throws {SwarmError} InvalidArgument when it is no backup, or not whole.
 */
export async function unpackBackup(
  directory: SwarmDirectory,
  archive: AsyncIterable<Uint8Array>,
): Promise<BackupManifest> {
  const missing = new Set(fileNames)
  const manifest = await readBackup(
    archive,
    () => undefined,
    async (name, content) => {
      if (!missing.delete(name)) throw notIn(name)
      const path = join(directory.path, name)
      await pipeline(content, createWriteStream(path, { mode: name.endsWith('.crt') ? 0o644 : 0o600 }))
      syncFile(path)
    },
  )
  for (const name of missing) throw notIn(name)
  return manifest
}

function notIn(name: string): SwarmError {
  return new SwarmError(
    'InvalidArgument',
    `this backup cannot be used: it should hold each of ${fileNames.join(', ')} once; see ${name}`,
  )
}
