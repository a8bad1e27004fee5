import { createCipheriv, createDecipheriv } from 'node:crypto'
import { pooledRandomBytes } from '../env/random.js'

/** Bytes that sealing adds: key id, nonce, authentication tag. */
export const SEAL_OVERHEAD_BYTES = 1 + 12 + 16

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const EMPTY = new Uint8Array(0)

/** A sealed value that cannot be opened: wrong key, or changed bytes. Names no content. */
export class SealError extends Error {
  override readonly name = 'SealError'
}

/**
 * Encrypts and authenticates payloads with AES-256-GCM before they go to disk.
 * Sealed form: key id (1 byte), nonce (12), ciphertext, tag (16). The key id lets old and new keys live side
 * by side during a rotation. Random nonces allow 2^32 payloads per key before a rotation is due.
 */
export class Sealer {
  readonly #keys = new Map<number, Uint8Array>()
  #currentKeyId: number

  /**
   * @param keys 32-byte keys by id (0 to 255). @param currentKeyId the one that seals.
   * @throws {RangeError} on a wrong key length or id.
   */
  constructor(keys: ReadonlyMap<number, Uint8Array>, currentKeyId: number) {
    for (const [id, key] of keys) this.#add(id, key)
    if (!keys.has(currentKeyId)) throw new RangeError('the current data key is missing')
    this.#currentKeyId = currentKeyId
  }

  /** A sealer with a single key. */
  static of(key: Uint8Array, keyId = 1): Sealer {
    return new Sealer(new Map([[keyId, key]]), keyId)
  }

  /** The id of the key that seals now; rows with another one are waiting for rotation. */
  get currentKeyId(): number {
    return this.#currentKeyId
  }

  /** From now on `key` seals. What former keys sealed still opens. @throws {RangeError} as the constructor. */
  rotateTo(keyId: number, key: Uint8Array): void {
    this.#add(keyId, key)
    this.#currentKeyId = keyId
  }

  /** Nothing is sealed with the former keys any more. */
  forgetFormer(): void {
    for (const id of this.#keys.keys()) if (id !== this.#currentKeyId) this.#keys.delete(id)
  }

  /**
   * @param context authenticated but not stored: where the payload belongs (such as `entry/7/3`), so that a
   * sealed value moved to another row does not open.
   */
  seal(plain: Uint8Array, context: string | Uint8Array = EMPTY): Uint8Array {
    const nonce = pooledRandomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#currentKeyId), nonce)
    cipher.setAAD(toBytes(context))
    const sealed = new Uint8Array(plain.byteLength + SEAL_OVERHEAD_BYTES)
    sealed[0] = this.#currentKeyId
    sealed.set(nonce, 1)
    sealed.set(cipher.update(plain), 1 + NONCE_BYTES)
    cipher.final()
    sealed.set(cipher.getAuthTag(), sealed.byteLength - TAG_BYTES)
    return sealed
  }

  /** The payload again. @throws {SealError} on an unknown key id, a wrong key or context, or changed bytes. */
  open(sealed: Uint8Array, context: string | Uint8Array = EMPTY): Uint8Array {
    if (sealed.byteLength < SEAL_OVERHEAD_BYTES) throw new SealError('sealed payload is too short')
    const decipher = createDecipheriv(
      'aes-256-gcm',
      this.#key(sealed[0] ?? -1),
      sealed.subarray(1, 1 + NONCE_BYTES),
      { authTagLength: TAG_BYTES },
    )
    decipher.setAAD(toBytes(context))
    decipher.setAuthTag(sealed.subarray(sealed.byteLength - TAG_BYTES))
    const plain = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.byteLength - TAG_BYTES))
    try {
      decipher.final()
    } catch (error) {
      throw new SealError('sealed payload does not match its key: wrong data key, or damaged', {
        cause: error,
      })
    }
    return plain
  }

  #add(id: number, key: Uint8Array): void {
    if (!Number.isInteger(id) || id < 0 || id > 255) throw new RangeError('key id must be 0 to 255')
    if (key.byteLength !== KEY_BYTES) throw new RangeError('a data key has 32 bytes')
    this.#keys.set(id, key)
  }

  #key(keyId: number): Uint8Array {
    const key = this.#keys.get(keyId)
    if (key === undefined) throw new SealError(`payload was sealed with data key ${keyId}, which is unknown`)
    return key
  }
}

function toBytes(context: string | Uint8Array): Uint8Array {
  return typeof context === 'string' ? Buffer.from(context) : context
}
