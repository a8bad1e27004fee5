import { Type } from 'typebox'
import { flag, list, struct, text } from '../../model/spec/schema.js'
import { operation } from './operation.js'

export const RecoverRequestSchema = struct('RecoverRequest', {
  force: flag('Also while the swarm has a leader.'),
  listenAddr: text('Address and port for cluster traffic. Default: as it is.'),
  advertiseAddr: text('Address that other nodes are told. Default: as it is.'),
})

export const BackupRequestSchema = struct('BackupRequest', {
  unlockKey: text('`SWMKEY-1-…`: locks the backup, where the swarm itself has no unlock key.'),
  stale: flag('Without asking the other managers for what this one may not have yet.'),
})

const RecoveredSchema = struct('Recovered', {
  nodeId: text(),
  advertiseAddr: text(),
  formerManagers: list(struct('FormerManager', { nodeId: text(), hostname: text() })),
  nodes: Type.Integer(),
  services: Type.Integer(),
  secrets: Type.Integer(),
  configs: Type.Integer(),
  networks: Type.Integer(),
})

const BackupManifestSchema = struct('BackupManifest', {
  format: text('`skep-backup`'),
  version: Type.Integer(),
  createdAt: text('RFC 3339.'),
  clusterId: text(),
  nodeId: text(),
  hostname: text(),
  lockedBy: text('`unlockKey`: the key of the swarm’s autolock; `backupKey`: one made for the backup.'),
})

export const archiveType = 'application/x-tar'
const archive = Type.String({ format: 'binary' })

export const recoveryOperations = {
  recover: operation({
    tag: 'Skep',
    id: 'SwarmRecover',
    summary: 'Make a new cluster of this manager alone',
    description:
      'For when the majority of the managers is gone for good. CA, IDs, tokens and all objects stay. Refused while the swarm has a leader.',
    body: RecoverRequestSchema,
    answers: { 200: { description: 'What the cluster consists of.', schema: RecoveredSchema } },
    errors: [400, 500, 503],
  }),
  backup: operation({
    tag: 'Skep',
    id: 'SwarmBackup',
    summary: 'Back this manager up',
    description:
      'A tar archive of all that a manager of this swarm can be made of. Secrets and keys in it are encrypted.',
    body: BackupRequestSchema,
    answers: { 200: { description: 'The backup.', schema: archive, mediaTypes: [archiveType] } },
    errors: [400, 500, 503],
  }),
  restore: operation({
    tag: 'Skep',
    id: 'SwarmRestore',
    summary: 'Restore a backup',
    description:
      'The body is the backup. This node is then a locked manager; unlocked with the key of the backup, it is the only manager of the swarm.',
    query: { listenAddr: text('As for `recover`.'), advertiseAddr: text('As for `recover`.') },
    answers: { 200: { description: 'What was restored.', schema: BackupManifestSchema } },
    errors: [400, 500, 503],
  }),
}
