import {
  certificateIdentity,
  createCsr,
  generateKey,
  renewalDelayMs,
  type KeyReadWriter,
  type NodeRole,
} from '../ca/index.js'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { IssuedCertificate } from '../manager/ca-server.js'
import { checkIssued } from './certificates.js'

/** Behaviour: moby/swarmkit ca/config.go, renewal backoff: uniform in [0, 5 s + 5 s * 2^(n-1)), at most 1 h. */
const backoffStepMs = 5000
const maxBackoffMs = 60 * 60 * 1000

export interface RenewerOptions {
  readonly keys: Pick<KeyReadWriter, 'certificate' | 'credentials' | 'saveCertificate' | 'setUnlockKey'>
  /** Asks some manager for the next certificate. */
  readonly request: (csrPem: string) => Promise<IssuedCertificate>
  /** The new certificate is on disk. Resolves when the node lives with it. */
  readonly onRenewed: () => Promise<void>
}

/**
 * Keeps this node's certificate young: renews it at a random moment of its later life, and whenever the
 * managers gave the node another role.
 */
export class CertificateRenewer {
  readonly #env: Env
  readonly #options: RenewerOptions
  #cancelTimer: () => void = () => undefined
  #running: Promise<void> | undefined
  #failures = 0
  #wantedRole: NodeRole | undefined
  #isForced = false
  #isStopped = false

  constructor(env: Env, options: RenewerOptions) {
    this.#env = env
    this.#options = options
  }

  start(): void {
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelTimer()
    await this.#running
  }

  /** The role that the managers gave this node; another one than the certificate's makes it renew at once. */
  roleIs(role: NodeRole): void {
    if (this.#wantedRole === role) return
    this.#wantedRole = role
    if (role !== this.#role()) this.renewNow()
  }

  /** The managers want a new certificate: the root has changed. */
  renewNow(): void {
    this.#isForced = true
    this.#failures = 0
    if (this.#running === undefined) this.#after(0)
  }

  #role(): NodeRole {
    return certificateIdentity(this.#options.keys.certificate).role
  }

  #schedule(): void {
    if (this.#failures > 0) {
      const bound = Math.min(backoffStepMs + backoffStepMs * 2 ** (this.#failures - 1), maxBackoffMs)
      this.#after(this.#env.randomInt(bound))
    } else {
      this.#after(this.#isForced ? 0 : renewalDelayMs(this.#env, this.#options.keys.certificate))
    }
  }

  #after(delayMs: number): void {
    this.#cancelTimer()
    if (this.#isStopped) return
    // A timer holds 24 days at most.
    const maxDelayMs = 24 * 60 * 60 * 1000
    this.#cancelTimer = this.#env.after(Math.min(delayMs, maxDelayMs), () => {
      if (delayMs > maxDelayMs) this.#after(delayMs - maxDelayMs)
      else this.#running = this.#run().finally(() => this.#schedule())
    })
  }

  async #run(): Promise<void> {
    this.#isForced = false
    try {
      await this.#renew()
      this.#failures =
        this.#wantedRole !== undefined && this.#wantedRole !== this.#role() ? this.#failures + 1 : 0
    } catch (error) {
      this.#failures++
      this.#env.log.warn({ err: errorText(error) }, 'the certificate could not be renewed; it is tried again')
    } finally {
      this.#running = undefined
    }
  }

  async #renew(): Promise<void> {
    const { keys, request, onRenewed } = this.#options
    const key = generateKey()
    const issued = await request(createCsr(key))
    if (this.#isStopped) return
    checkIssued(this.#env, issued, key, keys.credentials.rootPem)
    if (issued.unlockKeyVersion !== undefined) {
      const unlockKey = issued.unlockKey === undefined ? undefined : Buffer.from(issued.unlockKey, 'base64')
      await keys.setUnlockKey(unlockKey, issued.unlockKeyVersion)
    }
    await keys.saveCertificate(key, issued.certificatePem)
    this.#env.log.info({ role: this.#role() }, 'this node has a new certificate')
    await onRenewed()
  }
}
