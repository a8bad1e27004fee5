import { createHash } from 'node:crypto'
import { sleep, type Env } from '../../env/env.js'
import { SwarmError } from '../../model/errors.js'
import { parseImageReference } from '../../model/image-reference.js'
import type { SimBehaviour } from '../../model/sim-labels.js'
import type { SimEvents } from './events.js'

/** Every simulated image has this size; numbers that differ would pretend to mean something. */
export const simImageSizeBytes = 1_000_000

export interface SimImage {
  /** `sha256:…` */
  readonly id: string
  readonly createdAtMs: number
  /** `nginx:latest`, sorted. */
  readonly tags: readonly string[]
  /** `nginx@sha256:…`, sorted. */
  readonly digests: readonly string[]
}

/** A reference as Docker's CLI shows it: `library/` and `docker.io` left out, `:latest` filled in. */
export interface FamiliarReference {
  /** `nginx`, `ghcr.io/a/b` */
  readonly repository: string
  /** Absent when only a digest was given. */
  readonly tag?: string
  readonly digest?: string
}

/** @throws {SwarmError} InvalidArgument with Docker's text. */
export function familiarReference(text: string): FamiliarReference {
  const reference = parseImageReference(text)
  if (reference === undefined) throw new SwarmError('InvalidArgument', 'invalid reference format')
  const { domain, path, tag, digest } = reference
  const repository =
    domain !== 'docker.io' ? `${domain}/${path}` : path.startsWith('library/') ? path.slice(8) : path
  if (digest !== undefined) return { repository, digest, ...(tag !== undefined && { tag }) }
  return { repository, tag: tag ?? 'latest' }
}

/** The digest that the simulated registry gives for a tag: the same on each node and in each run. */
export function simDigest({ repository, tag, digest }: FamiliarReference): string {
  if (digest !== undefined) return digest
  return `sha256:${createHash('sha256')
    .update(`${repository}:${tag ?? 'latest'}`)
    .digest('hex')}`
}

/** The images of one simulated engine. Any reference can be pulled. */
export class SimImages {
  readonly #env: Env
  readonly #events: SimEvents
  readonly #byId = new Map<string, SimImage>()

  constructor(env: Env, events: SimEvents) {
    this.#env = env
    this.#events = events
  }

  list(): readonly SimImage[] {
    return [...this.#byId.values()].sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1))
  }

  /** Puts back an image of an earlier run. */
  restore(image: SimImage): void {
    this.#byId.set(image.id, image)
  }

  forget(id: string): void {
    this.#byId.delete(id)
  }

  /** By ID, ID prefix, tag or digest. */
  find(text: string): SimImage | undefined {
    const hex = text.startsWith('sha256:') ? text.slice(7) : text
    if (/^[0-9a-f]{4,64}$/.test(hex)) {
      const byId = [...this.#byId.values()].filter((image) => image.id.startsWith(`sha256:${hex}`))
      if (byId.length === 1) return byId[0]
    }
    if (parseImageReference(text) === undefined) return undefined
    const reference = familiarReference(text)
    const { repository, tag, digest } = reference
    for (const image of this.#byId.values()) {
      const name = digest === undefined ? `${repository}:${tag ?? 'latest'}` : `${repository}@${digest}`
      if (digest === undefined ? image.tags.includes(name) : image.digests.includes(name)) return image
    }
    return undefined
  }

  /**
   * Makes the image after the time that a pull takes.
   * @throws {SwarmError} NotFound for `fail`.
   */
  async pull(text: string, behaviour: SimBehaviour['pull'], signal?: AbortSignal): Promise<SimImage> {
    const reference = familiarReference(text)
    if (behaviour === 'fail') {
      throw new SwarmError('NotFound', `manifest for ${text} not found: the label skep.sim.pull says fail`)
    }
    if (behaviour.delayMs > 0) await sleep(this.#env, behaviour.delayMs, signal)
    const image = this.#add(reference)
    this.#events.emit('image', 'pull', text, { name: reference.repository })
    return image
  }

  /** @throws {SwarmError} NotFound when `image` does not have that name. */
  tag(image: SimImage, text: string): void {
    const { repository, tag = 'latest' } = familiarReference(text)
    const name = `${repository}:${tag}`
    for (const other of this.#byId.values()) {
      if (other.id !== image.id && this.#untag(other, name)) {
        this.#events.emit('image', 'untag', other.id, { name: other.id })
      }
    }
    const current = this.#byId.get(image.id) ?? image
    this.#byId.set(image.id, { ...current, tags: [...new Set([...current.tags, name])].sort() })
    this.#events.emit('image', 'tag', image.id, { name })
  }

  /**
   * Takes a name away and, with its last name or by its ID, the image.
   * @returns what went, in the words of `DELETE /images/{name}`.
   */
  remove(image: SimImage, text: string): { Untagged?: string; Deleted?: string }[] {
    const reference = parseImageReference(text) === undefined ? undefined : familiarReference(text)
    const name = reference === undefined ? '' : `${reference.repository}:${reference.tag ?? 'latest'}`
    if (image.tags.includes(name) && image.tags.length > 1) {
      this.#untag(image, name)
      this.#events.emit('image', 'untag', image.id, { name: image.id })
      return [{ Untagged: name }]
    }
    this.#byId.delete(image.id)
    this.#events.emit('image', 'delete', image.id, { name: image.id })
    return [...[...image.tags, ...image.digests].map((Untagged) => ({ Untagged })), { Deleted: image.id }]
  }

  #add(reference: FamiliarReference): SimImage {
    const { repository, tag } = reference
    const digest = simDigest(reference)
    const id = `sha256:${createHash('sha256').update(`${repository}@${digest}`).digest('hex')}`
    const present = this.#byId.get(id)
    const name = tag === undefined || reference.digest !== undefined ? undefined : `${repository}:${tag}`
    const pinned = `${repository}@${digest}`
    if (present !== undefined && (name === undefined || present.tags.includes(name))) return present
    const image: SimImage = {
      id,
      createdAtMs: present?.createdAtMs ?? this.#env.nowMs(),
      tags: [...(present?.tags ?? []), ...(name === undefined ? [] : [name])].sort(),
      digests: [...new Set([...(present?.digests ?? []), pinned])].sort(),
    }
    this.#byId.set(id, image)
    return image
  }

  #untag(image: SimImage, name: string): boolean {
    if (!image.tags.includes(name)) return false
    this.#byId.set(image.id, { ...image, tags: image.tags.filter((tag) => tag !== name) })
    return true
  }
}
