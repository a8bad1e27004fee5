import { readFile, rm } from 'node:fs/promises'
import { certificateIdentity, formatKeyFile, parseKeyFile, type KeyReadWriter } from '../../ca/index.js'
import type { Env } from '../../env/env.js'
import { newId } from '../../env/id.js'
import { SwarmError } from '../../model/errors.js'
import { formatTime } from '../../model/time.js'
import type { NodeState, SwarmDirectory } from '../state-file.js'
import { writeBackup, type BackupFile, type BackupManifest } from './format.js'

/** A manager that is backed up. */
export interface BackupSource {
  readonly directory: SwarmDirectory
  readonly keys: KeyReadWriter
  readonly state: NodeState
  readonly hostname: string
  /** Copies the database, as of one moment that comes after the call. */
  readonly copyDatabase: (path: string) => Promise<void>
}

export interface Backup {
  readonly manifest: BackupManifest
  /** To be read to its end, or returned: a copy on disk lasts as long. */
  readonly content: AsyncGenerator<Buffer>
}

/**
 * Everything that a manager of the same cluster can be made of on another machine. The objects are sealed with
 * the data key as they are on disk; the data key and the node's private key are locked with the swarm's unlock
 * key or, without autolock, with `backupKey`.
 * @throws {SwarmError} InvalidArgument where a key is needed and there is none.
 */
export async function createBackup(
  env: Env,
  source: BackupSource,
  backupKey: Buffer | undefined,
): Promise<Backup> {
  const { directory, keys, hostname } = source
  if (keys.unlockKey === undefined && backupKey === undefined) {
    throw new SwarmError('InvalidArgument', 'the managers of this swarm are not locked: a backup needs a key')
  }
  const { nodeId, clusterId } = certificateIdentity(keys.certificate)
  const copy = directory.backupCopy(newId(env))
  try {
    const certificates = await copyTogether(source, copy, backupKey)
    const manifest: BackupManifest = {
      format: 'skep-backup',
      version: 1,
      createdAt: formatTime(env.nowMs()),
      clusterId,
      nodeId,
      hostname,
      lockedBy: keys.unlockKey === undefined ? 'backupKey' : 'unlockKey',
    }
    const { managers: _others, ...state } = source.state
    const files: readonly BackupFile[] = [
      { name: 'node-state.json', content: Buffer.from(JSON.stringify({ ...state, newCluster: true })) },
      ...certificates,
      { name: 'raft/manager.db', content: { path: copy } },
    ]
    return { manifest, content: withoutCopy(copy, writeBackup(manifest, files, env.nowMs())) }
  } catch (error) {
    await rm(copy, { force: true })
    throw error
  }
}

async function* withoutCopy(copy: string, content: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* content
  } finally {
    await rm(copy, { force: true })
  }
}

/** Database and keys that fit: a data key may be replaced while the database is copied. */
async function copyTogether(
  { keys, directory, copyDatabase }: BackupSource,
  copy: string,
  backupKey: Buffer | undefined,
): Promise<readonly BackupFile[]> {
  for (;;) {
    const before = await certificateFiles(directory, keys, backupKey)
    const dataKeys = dataKeyIds(keys)
    await rm(copy, { force: true })
    await copyDatabase(copy)
    if (dataKeys === dataKeyIds(keys)) return before
  }
}

function dataKeyIds({ dataKey, pendingDataKey }: KeyReadWriter): string {
  return `${dataKey?.id} ${pendingDataKey?.id}`
}

async function certificateFiles(
  directory: SwarmDirectory,
  keys: KeyReadWriter,
  backupKey: Buffer | undefined,
): Promise<readonly BackupFile[]> {
  const { credentials, unlockKey } = keys
  const keyText = await readFile(directory.keyFile, 'utf8')
  return [
    { name: 'certificates/swarm-root-ca.crt', content: Buffer.from(credentials.rootPem) },
    { name: 'certificates/swarm-node.crt', content: Buffer.from(credentials.certificatePem) },
    {
      name: 'certificates/swarm-node.key',
      content: Buffer.from(unlockKey === undefined ? relocked(keyText, backupKey) : keyText),
    },
  ]
}

/** A key file that is not locked, locked. Its version is 0, so that any cluster's word on unlock keys is newer. */
function relocked(keyText: string, key: Buffer | undefined): string {
  const file = parseKeyFile(keyText, undefined)
  if ('locked' in file || key === undefined) {
    throw new SwarmError('Unavailable', 'the key file is being locked: try again')
  }
  return formatKeyFile({ ...file, kekVersion: 0 }, key)
}
