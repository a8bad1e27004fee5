import { createReadStream } from 'node:fs'
import { parseKeyFile, parseUnlockKey } from '../../ca/index.js'
import { collect, readBackup, type BackupManifest } from '../../node/backup/format.js'
import { DaemonClient, hostFlag, hostHelp } from '../daemon-client.js'
import { parseCommand } from '../flags.js'
import { readKeyFile } from './backup.js'

const usage = `Usage: skep restore FILE [OPTIONS]

Makes the daemon, which must not be in a swarm, the only manager of the swarm in the backup: with its root CA,
join tokens, IDs and objects. Stop the managers of the old swarm before: nodes that find both would follow either.

Options:
      --key-file FILE        Key of the backup, or the unlock key that the swarm had at the time
      --advertise-addr ADDR  Address that other nodes are told (default: as in the backup)
      --listen-addr ADDR     Address and port for cluster traffic (default: as in the backup, or any)
${hostHelp}
      --format text|json     What to print (default: text)`

/** `skep restore`: a swarm out of a backup. */
export const restoreCommand = {
  name: 'restore',
  summary: 'Make a daemon the manager of the swarm in a backup',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const flags = {
      ...hostFlag,
      'key-file': { type: 'string' },
      'advertise-addr': { type: 'string', default: '' },
      'listen-addr': { type: 'string', default: '' },
    } as const
    const { values, positionals, format } = parseCommand(args, flags, { least: 1, most: 1 })
    const [file = ''] = positionals
    const keyFile = values['key-file']
    const key = keyFile === undefined ? undefined : readKeyFile(keyFile)
    await check(file, key)
    const daemon = new DaemonClient(values.host)
    const query = new URLSearchParams({
      advertiseAddr: values['advertise-addr'],
      listenAddr: values['listen-addr'],
    })
    const stream = createReadStream(file)
    const manifest = (await daemon.json('POST', `/skep/v1/restore?${query.toString()}`, {
      stream,
      mediaType: 'application/x-tar',
    })) as BackupManifest
    if (key !== undefined) {
      await daemon.json('POST', '/swarm/unlock', { json: { UnlockKey: key } })
      // Answers when this manager leads.
      await daemon.json('GET', '/swarm')
    }
    const isLocked = key === undefined
    console.log(
      format === 'json' ? JSON.stringify({ ...manifest, locked: isLocked }) : describe(manifest, isLocked),
    )
    return 0
  },
}

/**
 * Looks at the whole file before the daemon sees any of it.
 * @throws {Error} for a damaged backup, or another key than its own.
 */
async function check(file: string, key: string | undefined): Promise<void> {
  await readBackup(
    createReadStream(file),
    ({ lockedBy }) => {
      if (lockedBy === 'backupKey' && key === undefined) {
        throw new Error('this backup has a key of its own: name the file that holds it with --key-file')
      }
    },
    async (name, content) => {
      if (name !== 'certificates/swarm-node.key') {
        for await (const piece of content) void piece
        return
      }
      const keyText = (await collect(content)).toString()
      if (key !== undefined && 'locked' in parseKeyFile(keyText, parseUnlockKey(key))) {
        throw new Error('the key is not the one of this backup')
      }
    },
  )
}

function describe({ clusterId, nodeId, createdAt }: BackupManifest, isLocked: boolean): string {
  return [
    `Swarm ${clusterId} restored as of ${createdAt}.`,
    isLocked
      ? 'Its manager is locked: docker swarm unlock'
      : `Node ${nodeId} is its only manager. To add others, run on them what this prints: docker swarm join-token manager`,
  ].join('\n')
}
