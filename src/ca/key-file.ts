import { createPrivateKey, type KeyObject } from 'node:crypto'
import { Sealer, SealError } from '../db/seal.js'
import { formatPem, parsePem, type PemBlock } from './pem.js'
import { UNLOCK_KEY_BYTES } from './unlock-key.js'

/** A key that seals raft entries and objects on this manager's disk. */
export interface DataKey {
  /** 1 to 255; stands in each sealed payload, so that old and new key can live side by side. */
  readonly id: number
  /** 32 bytes. */
  readonly key: Buffer
}

/** All that `swarm-node.key` holds. */
export interface KeyFile {
  readonly key: KeyObject
  /** Absent on workers. */
  readonly dataKey?: DataKey
  /** While a rotation runs: seals new payloads, and replaces `dataKey` once nothing needs the old one. */
  readonly pendingDataKey?: DataKey
  /** A rotation was asked for while another ran. */
  readonly dataKeyNeedsRotation: boolean
  /** Version of the cluster object whose unlock key locks this file. */
  readonly kekVersion: number
}

/** Why a locked key file could not be opened. */
export type Locked = { readonly locked: 'keyNeeded' | 'wrongKey' }

const header = {
  dataKey: 'raft-dek',
  pendingDataKey: 'raft-dek-pending',
  dataKeyNeedsRotation: 'raft-dek-needs-rotation',
  kekVersion: 'kek-version',
} as const
const CLEAR_LABEL = 'PRIVATE KEY'
const LOCKED_LABEL = 'ENCRYPTED PRIVATE KEY'

/**
 * PKCS#8 in PEM, the data keys in its headers: one file, so that one rename replaces all of it.
 * With an unlock key the private key is PBES2 (AES-256-CBC, PBKDF2 with HMAC-SHA-256) under the unlock key's
 * base64 text, so that `openssl pkey -passin` opens it. Key stretching adds nothing to 32 random bytes, so
 * OpenSSL's 2048 rounds are enough. The data keys are sealed with AES-256-GCM.
 */
export function formatKeyFile(file: KeyFile, unlockKey: Buffer | undefined): string {
  const headers = new Map<string, string>([[header.kekVersion, String(file.kekVersion)]])
  const addKey = (name: string, dataKey: DataKey | undefined) => {
    if (dataKey === undefined) return
    const bytes = unlockKey === undefined ? dataKey.key : Sealer.of(unlockKey).seal(dataKey.key, name)
    headers.set(name, `${dataKey.id} ${Buffer.from(bytes).toString('base64')}`)
  }
  addKey(header.dataKey, file.dataKey)
  addKey(header.pendingDataKey, file.pendingDataKey)
  if (file.dataKeyNeedsRotation) headers.set(header.dataKeyNeedsRotation, 'true')
  if (unlockKey === undefined) {
    return formatPem(CLEAR_LABEL, file.key.export({ type: 'pkcs8', format: 'der' }), headers)
  }
  const passphrase = passphraseOf(unlockKey)
  const der = file.key.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase })
  return formatPem(LOCKED_LABEL, der, headers)
}

/**
 * Reads what `formatKeyFile` wrote. An unlock key for a file that is not locked is ignored.
 * @throws {Error} when the file is damaged in itself.
 */
export function parseKeyFile(text: string, unlockKey: Buffer | undefined): KeyFile | Locked {
  const block = parsePem(text).find(({ label }) => label === CLEAR_LABEL || label === LOCKED_LABEL)
  if (block === undefined) throw new Error('no private key in the file')
  if (block.label === CLEAR_LABEL) return readBlock(block, undefined)
  if (unlockKey === undefined) return { locked: 'keyNeeded' }
  if (unlockKey.length !== UNLOCK_KEY_BYTES) return { locked: 'wrongKey' }
  try {
    return readBlock(block, unlockKey)
  } catch (error) {
    if (error instanceof SealError || isOpenSslError(error)) return { locked: 'wrongKey' }
    throw error
  }
}

function readBlock({ der, headers }: PemBlock, unlockKey: Buffer | undefined): KeyFile {
  const key = createPrivateKey({
    key: der,
    format: 'der',
    type: 'pkcs8',
    ...(unlockKey !== undefined && { passphrase: passphraseOf(unlockKey) }),
  })
  const readKey = (name: string): DataKey | undefined => {
    const value = headers.get(name)
    if (value === undefined) return undefined
    const [id = '', base64 = ''] = value.split(' ')
    const bytes = Buffer.from(base64, 'base64')
    return { id: Number(id), key: unlockKey === undefined ? bytes : open(unlockKey, bytes, name) }
  }
  const dataKey = readKey(header.dataKey)
  const pendingDataKey = readKey(header.pendingDataKey)
  return {
    key,
    ...(dataKey !== undefined && { dataKey }),
    ...(pendingDataKey !== undefined && { pendingDataKey }),
    dataKeyNeedsRotation: headers.get(header.dataKeyNeedsRotation) === 'true',
    kekVersion: Number(headers.get(header.kekVersion) ?? 0),
  }
}

function open(unlockKey: Buffer, sealed: Buffer, name: string): Buffer {
  return Buffer.from(Sealer.of(unlockKey).open(sealed, name))
}

function passphraseOf(unlockKey: Buffer): string {
  return unlockKey.toString('base64').replace(/=+$/, '')
}

/** A wrong passphrase shows as a failed decryption or as garbage instead of a key: both come from OpenSSL. */
function isOpenSslError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_OSSL')
}
