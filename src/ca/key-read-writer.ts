import type { KeyObject } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../env/env.js'
import { parseCertificate, type Certificate } from './certificate.js'
import { readIfPresent, replaceFile, syncFolder, writeSynced } from './durable-file.js'
import { formatKeyFile, parseKeyFile, type DataKey, type KeyFile } from './key-file.js'
import { publicKeyDer } from './keys.js'

/** What a node needs to speak for itself. */
export interface NodeCredentials {
  readonly key: KeyObject
  /** Leaf first, then intermediates. */
  readonly certificatePem: string
  /** The root bundle that this node trusts, byte for byte as it was handed out. */
  readonly rootPem: string
}

/**
 * `missing`: no certificate, the node is in no swarm. `locked`: the key file is encrypted and no unlock key was
 * given. `wrongKey`: the given one does not open it.
 */
export type LoadOutcome =
  | { readonly state: 'missing' }
  | { readonly state: 'locked' }
  | { readonly state: 'wrongKey' }
  | { readonly state: 'loaded'; readonly keys: KeyReadWriter }

/** What `setUnlockKey` did. After `locked` (from unlocked) the data key has been on disk in clear: rotate it. */
export type UnlockKeyChange = 'unchanged' | 'changed' | 'locked'

const DATA_KEY_BYTES = 32

/**
 * A node's certificate, key and data keys on disk, in memory as they are there. Writes come one after another,
 * each of them atomic and durable before it resolves.
 *
 * Files: `swarm-root-ca.crt` and `swarm-node.crt` (0644), `swarm-node.key` (0600). Key and certificate cannot
 * be renamed in one step, so a renewal first leaves the certificate beside its final place; a reader that finds
 * key and certificate at odds finishes the renewal from there.
 * Behaviour: moby/swarmkit ca/keyreadwriter.go.
 */
export class KeyReadWriter {
  readonly #folder: string
  #file: KeyFile
  #unlockKey: Buffer | undefined
  #certificatePem: string
  #certificate: Certificate
  #rootPem: string
  #writing: Promise<unknown> = Promise.resolve()
  readonly #lockListeners = new Set<() => void>()

  private constructor(
    folder: string,
    file: KeyFile,
    unlockKey: Buffer | undefined,
    certificatePem: string,
    rootPem: string,
  ) {
    this.#folder = folder
    this.#file = file
    this.#unlockKey = unlockKey
    this.#certificatePem = certificatePem
    this.#certificate = parseCertificate(certificatePem)
    this.#rootPem = rootPem
  }

  /**
   * Reads the files of `folder`.
   * @throws {Error} when they are damaged, or certificate and key do not belong together.
   */
  static async load(folder: string, unlockKey?: Buffer): Promise<LoadOutcome> {
    const [keyText, certificatePem, rootPem] = await Promise.all(
      [paths(folder).key, paths(folder).certificate, paths(folder).root].map(readIfPresent),
    )
    const pendingPem = await readIfPresent(paths(folder).pendingCertificate)
    if (keyText === undefined || rootPem === undefined || (certificatePem ?? pendingPem) === undefined) {
      return { state: 'missing' }
    }
    const file = parseKeyFile(keyText, unlockKey)
    if ('locked' in file) return { state: file.locked === 'keyNeeded' ? 'locked' : 'wrongKey' }
    const usedKey = keyText.includes('ENCRYPTED') ? unlockKey : undefined
    if (certificatePem !== undefined && belongsTo(certificatePem, file.key)) {
      return { state: 'loaded', keys: new KeyReadWriter(folder, file, usedKey, certificatePem, rootPem) }
    }
    if (pendingPem !== undefined && belongsTo(pendingPem, file.key)) {
      await rename(paths(folder).pendingCertificate, paths(folder).certificate)
      await syncFolder(folder)
      return { state: 'loaded', keys: new KeyReadWriter(folder, file, usedKey, pendingPem, rootPem) }
    }
    throw new Error(`certificate and key in ${folder} do not belong together`)
  }

  /**
   * Writes the files of a node that has just got its first certificate (or has one for another cluster).
   * @param options.unlockKey locks the key file from the first byte on; managers of autolocked clusters.
   */
  static async create(
    folder: string,
    credentials: NodeCredentials,
    options: { readonly unlockKey?: Buffer; readonly kekVersion?: number } = {},
  ): Promise<KeyReadWriter> {
    const { key, certificatePem, rootPem } = credentials
    const file: KeyFile = { key, dataKeyNeedsRotation: false, kekVersion: options.kekVersion ?? 0 }
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const keys = new KeyReadWriter(folder, file, options.unlockKey, certificatePem, rootPem)
    await keys.saveRoot(rootPem)
    await keys.saveCertificate(key, certificatePem)
    return keys
  }

  get credentials(): NodeCredentials {
    return { key: this.#file.key, certificatePem: this.#certificatePem, rootPem: this.#rootPem }
  }

  /** The leaf. */
  get certificate(): Certificate {
    return this.#certificate
  }

  /** The key that locks the file on disk, or undefined while it is not locked. */
  get unlockKey(): Buffer | undefined {
    return this.#unlockKey
  }

  get kekVersion(): number {
    return this.#file.kekVersion
  }

  /** The data key that everything before a running rotation is sealed with. Undefined on workers. */
  get dataKey(): DataKey | undefined {
    return this.#file.dataKey
  }

  /** The data key of a running rotation: seals what is new. */
  get pendingDataKey(): DataKey | undefined {
    return this.#file.pendingDataKey
  }

  get dataKeyNeedsRotation(): boolean {
    return this.#file.dataKeyNeedsRotation
  }

  /** A renewed certificate with its key; the data keys stay. */
  saveCertificate(key: KeyObject, certificatePem: string): Promise<void> {
    return this.#inTurn(async () => {
      const certificate = parseCertificate(certificatePem)
      if (!belongsTo(certificatePem, key)) throw new Error('certificate and key do not belong together')
      const { pendingCertificate, certificate: path } = paths(this.#folder)
      await writeSynced(pendingCertificate, certificatePem, 0o644)
      await this.#writeKey({ ...this.#file, key }, this.#unlockKey)
      await rename(pendingCertificate, path)
      await syncFolder(this.#folder)
      this.#certificatePem = certificatePem
      this.#certificate = certificate
    })
  }

  /** Another root bundle to trust, byte for byte. */
  saveRoot(rootPem: string): Promise<void> {
    return this.#inTurn(async () => {
      await replaceFile(paths(this.#folder).root, rootPem, 0o644)
      this.#rootPem = rootPem
    })
  }

  /**
   * Takes over the cluster's unlock key (undefined: no autolock) as of `version` of the cluster object. An older
   * version than the file's is ignored: a node that lags must not bring an old key back.
   */
  setUnlockKey(unlockKey: Buffer | undefined, version: number): Promise<UnlockKeyChange> {
    return this.#inTurn(async () => {
      if (version <= this.#file.kekVersion || sameKey(unlockKey, this.#unlockKey)) return 'unchanged'
      const change = this.#unlockKey === undefined ? 'locked' : 'changed'
      const wasInClear = change === 'locked' && this.#file.dataKey !== undefined
      const dataKeyNeedsRotation = wasInClear || this.#file.dataKeyNeedsRotation
      await this.#writeKey({ ...this.#file, kekVersion: version, dataKeyNeedsRotation }, unlockKey)
      if (change === 'locked') for (const listener of this.#lockListeners) listener()
      return change
    })
  }

  /**
   * Calls `listener` when the file, which was in clear, has been locked: whoever saw it before knows the keys
   * in it. @returns what ends that.
   */
  onLocked(listener: () => void): () => void {
    this.#lockListeners.add(listener)
    return () => this.#lockListeners.delete(listener)
  }

  /** Makes a manager's first data key. @throws {Error} when there is one already. */
  createDataKey(env: Env): Promise<DataKey> {
    return this.#inTurn(async () => {
      if (this.#file.dataKey !== undefined) throw new Error('this node has a data key already')
      const dataKey = { id: 1, key: env.randomBytes(DATA_KEY_BYTES) }
      await this.#writeKey({ ...this.#file, dataKey }, this.#unlockKey)
      return dataKey
    })
  }

  /**
   * Starts a rotation: from now on new payloads are sealed with the returned key. While one runs, this only
   * notes that another is wanted, and returns the running one's key.
   */
  rotateDataKey(env: Env): Promise<DataKey> {
    return this.#inTurn(async () => {
      const { dataKey, pendingDataKey } = this.#file
      if (dataKey === undefined) throw new Error('this node has no data key')
      if (pendingDataKey !== undefined) {
        await this.#writeKey({ ...this.#file, dataKeyNeedsRotation: true }, this.#unlockKey)
        return pendingDataKey
      }
      const pending = { id: (dataKey.id % 255) + 1, key: env.randomBytes(DATA_KEY_BYTES) }
      await this.#writeKey(
        { ...this.#file, pendingDataKey: pending, dataKeyNeedsRotation: false },
        this.#unlockKey,
      )
      return pending
    })
  }

  /**
   * Ends a rotation, once nothing on disk is sealed with the old key any more.
   * @returns whether another rotation is wanted.
   */
  promoteDataKey(): Promise<boolean> {
    return this.#inTurn(async () => {
      const { pendingDataKey, ...rest } = this.#file
      if (pendingDataKey === undefined) throw new Error('no rotation of the data key is running')
      await this.#writeKey({ ...rest, dataKey: pendingDataKey }, this.#unlockKey)
      return rest.dataKeyNeedsRotation
    })
  }

  /** For a node that has become a worker and has deleted its raft data: data keys go, and so does the lock. */
  dropDataKeys(): Promise<void> {
    return this.#inTurn(async () => {
      const { key, kekVersion } = this.#file
      await this.#writeKey({ key, kekVersion, dataKeyNeedsRotation: false }, undefined)
    })
  }

  async #writeKey(file: KeyFile, unlockKey: Buffer | undefined): Promise<void> {
    await replaceFile(paths(this.#folder).key, formatKeyFile(file, unlockKey), 0o600)
    this.#file = file
    this.#unlockKey = unlockKey
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(write)
    // A failed write is its caller's to handle; it must not stop the next one.
    this.#writing = done.catch(() => undefined)
    return done
  }
}

function paths(folder: string): {
  root: string
  certificate: string
  pendingCertificate: string
  key: string
} {
  return {
    root: join(folder, 'swarm-root-ca.crt'),
    certificate: join(folder, 'swarm-node.crt'),
    pendingCertificate: join(folder, '.swarm-node.crt'),
    key: join(folder, 'swarm-node.key'),
  }
}

function belongsTo(certificatePem: string, key: KeyObject): boolean {
  return parseCertificate(certificatePem).publicKeyDer.equals(publicKeyDer(key))
}

function sameKey(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}
