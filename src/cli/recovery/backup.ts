import { randomBytes } from 'node:crypto'
import { createReadStream, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { formatUnlockKey, parseUnlockKey } from '../../ca/index.js'
import { errorText } from '../../model/errors.js'
import { readBackup, type BackupManifest } from '../../node/backup/format.js'
import { DaemonClient, hostFlag, hostHelp } from '../daemon-client.js'
import { parseFlags } from '../flags.js'

const usage = `Usage: skep backup --output FILE [OPTIONS]

Backs up the swarm from a running manager, in one file: the objects with their secrets, the root CA with its key,
and this manager's identity. All of it is encrypted: with the swarm's unlock key where autolock is on, else with a
key of the backup's own, which is printed unless it goes to a file.

Options:
  -o, --output FILE        Where to write the backup; must not exist
      --key-file FILE      Key of the backup: read from the file, or made and written to it
      --stale              Also without a leader: what this manager has may be behind
${hostHelp}
      --format text|json   What to print (default: text)`

const keyBytes = 32

/** `skep backup`: one file with all that a swarm's manager has. */
export const backupCommand = {
  name: 'backup',
  summary: 'Back up the swarm from a running manager',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { values, format } = parseFlags(args, {
      ...hostFlag,
      output: { type: 'string', short: 'o' },
      'key-file': { type: 'string' },
      stale: { type: 'boolean', default: false },
    })
    const { output, 'key-file': keyFile } = values
    if (output === undefined) throw new Error('--output is missing: name the file to write')
    if (existsSync(output)) throw new Error(`${output} exists already`)
    const key = backupKey(keyFile)
    const answer = await requestBackup(new DaemonClient(values.host), key, values.stale)
    const file = await open(output, 'wx', 0o600)
    try {
      await pipeline(answer, file.createWriteStream({ flush: true }))
      const manifest = await checked(output)
      const ownKey = manifest.lockedBy === 'backupKey' ? key : undefined
      if (ownKey !== undefined && keyFile !== undefined && !existsSync(keyFile)) {
        writeFileSync(keyFile, `${ownKey}\n`, { mode: 0o600, flag: 'wx' })
      }
      const result = { file: output, bytes: statSync(output).size, ...manifest }
      const shownKey = keyFile === undefined ? ownKey : undefined
      if (format === 'json')
        console.log(JSON.stringify({ ...result, ...(shownKey !== undefined && { key: shownKey }) }))
      else console.log(describe(result, keyFile, shownKey))
    } catch (error) {
      await rm(output, { force: true })
      throw error
    }
    return 0
  },
}

async function requestBackup(daemon: DaemonClient, unlockKey: string, stale: boolean) {
  try {
    return await daemon.open('POST', '/skep/v1/backup', { json: { unlockKey, stale } })
  } catch (error) {
    if (!errorText(error).includes('does not have a leader')) throw error
    throw new Error(`${errorText(error)} To back up what this manager has, use --stale.`, { cause: error })
  }
}

/** @throws {Error} when the file holds something else. */
function backupKey(keyFile: string | undefined): string {
  if (keyFile === undefined || !existsSync(keyFile)) return formatUnlockKey(randomBytes(keyBytes))
  return readKeyFile(keyFile)
}

/** @throws {Error} when the file cannot be read, or holds something else. */
export function readKeyFile(path: string): string {
  const text = readFileSync(path, 'utf8').trim()
  try {
    parseUnlockKey(text)
  } catch (error) {
    throw new Error(`${path} holds no key: it should be SWMKEY-1- and 43 characters`, { cause: error })
  }
  return text
}

/** Reads what was written again: a broken backup is none. */
async function checked(path: string): Promise<BackupManifest> {
  return readBackup(
    createReadStream(path),
    () => undefined,
    async (_name, content) => {
      for await (const piece of content) void piece
    },
  )
}

function describe(
  { file, bytes, clusterId, hostname, lockedBy }: BackupManifest & { file: string; bytes: number },
  keyFile: string | undefined,
  shownKey: string | undefined,
): string {
  const kib = Math.ceil(bytes / 1024)
  const written = `Backup of swarm ${clusterId}, from manager ${hostname}, written to ${file} (${kib} KiB).`
  if (lockedBy === 'unlockKey') {
    return `${written}\nTo restore it you need the unlock key that the swarm has now: docker swarm unlock-key`
  }
  if (shownKey === undefined) return `${written}\nTo restore it you need the key in ${keyFile ?? ''}.`
  return `${written}\nTo restore it you need this key, which is kept nowhere else:\n\n    ${shownKey}\n`
}
