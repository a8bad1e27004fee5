import { createReadStream, createWriteStream, type WriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Env } from '../../env/env.js'
import { errorText } from '../../model/errors.js'
import type { ContainerCreateBody, EngineEvent } from '../types.js'
import type { SavedContainer } from './container.js'
import type { SimImage } from './images.js'
import type { SimNetwork } from './networks.js'
import type { SimVolume } from './volumes.js'
import type { SimWorld } from './world.js'

/** One line of the journal: the newest version of an object, or that it is gone. */
type Line =
  | { readonly image: SimImage }
  | { readonly volume: SimVolume }
  | { readonly network: SimNetwork }
  | { readonly container: SavedContainer; readonly body?: ContainerCreateBody }
  | { readonly gone: 'image' | 'volume' | 'network' | 'container'; readonly id: string }

/** A journal below this size is not worth writing anew. */
const compactFromBytes = 16 << 20
/** Objects per slice when it is written anew: the event loop has other things to do. */
const sliceLength = 100

/**
 * Keeps a simulated world through restarts of the daemon, as a real engine keeps its containers: a file
 * of JSON lines, each with the newest version of one object. Written without fsync: what is lost is a
 * container that a task then misses, as after a crash of a real engine.
 */
export class SimJournal {
  readonly #env: Env
  readonly #world: SimWorld
  readonly #path: string
  #file: WriteStream | undefined
  #bytes = 0
  #compactAtBytes = compactFromBytes
  /** Lines written while the file is made anew. */
  #meanwhile: string[] | undefined
  #stopListening = (): void => undefined

  private constructor(env: Env, world: SimWorld, folder: string) {
    this.#env = env
    this.#world = world
    this.#path = join(folder, 'simulated-engine.jsonl')
  }

  /** Brings the world of an earlier run back into `world`, and writes down what happens from here on. */
  static async open(env: Env, world: SimWorld, folder: string): Promise<SimJournal> {
    const journal = new SimJournal(env, world, folder)
    await journal.#load()
    await journal.#compact()
    journal.#stopListening = world.events.listen((event) => journal.#onEvent(event))
    return journal
  }

  async close(): Promise<void> {
    this.#stopListening()
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) await ended(file)
  }

  async #load(): Promise<void> {
    const containers = new Map<string, { saved: SavedContainer; body: ContainerCreateBody }>()
    for await (const line of readJournal(this.#path)) {
      if ('image' in line) this.#world.images.restore(line.image)
      else if ('volume' in line) this.#world.volumes.restore(line.volume)
      else if ('network' in line) this.#world.networks.restore(line.network)
      else if ('container' in line) {
        const body = line.body ?? containers.get(line.container.id)?.body
        if (body !== undefined) containers.set(line.container.id, { saved: line.container, body })
      } else if (line.gone === 'container') containers.delete(line.id)
      else this.#forget(line.gone, line.id)
    }
    for (const { saved, body } of containers.values()) {
      try {
        this.#world.restore(saved, body)
      } catch (error) {
        this.#env.log.warn({ container: saved.id, err: errorText(error) }, 'a simulated container is lost')
      }
    }
  }

  #forget(kind: 'image' | 'volume' | 'network', id: string): void {
    if (kind === 'image') this.#world.images.forget(id)
    else if (kind === 'volume') this.#world.volumes.forget(id)
    else this.#world.networks.forget(id)
  }

  #onEvent({ Type, Action, Actor }: EngineEvent): void {
    const line = this.#lineFor(Type, Action, Actor.ID)
    if (line !== undefined) this.#write(`${JSON.stringify(line)}\n`)
    if (this.#bytes < this.#compactAtBytes || this.#meanwhile !== undefined) return
    this.#compact().catch((error: unknown) => {
      this.#env.log.error({ path: this.#path, err: errorText(error) }, 'the simulated engine cannot be kept')
    })
  }

  #lineFor(type: string, action: string, id: string): Line | undefined {
    const world = this.#world
    switch (type) {
      case 'container': {
        if (action === 'destroy') return { gone: 'container', id }
        const container = world.find(id)
        if (container === undefined) return undefined
        const isNew = action === 'create'
        return { container: container.save(), ...(isNew && { body: container.make.body() }) }
      }
      case 'image': {
        const image = world.images.find(id)
        return image === undefined ? { gone: 'image', id } : { image }
      }
      case 'volume': {
        const volume = world.volumes.get(id)
        return volume === undefined ? { gone: 'volume', id } : { volume }
      }
      case 'network': {
        const network = world.networks.find(id)
        return network === undefined ? { gone: 'network', id } : { network }
      }
      default:
        return undefined
    }
  }

  #write(text: string): void {
    this.#bytes += text.length
    this.#meanwhile?.push(text)
    this.#file?.write(text)
  }

  /** Writes the file anew with what there is, then what happened meanwhile, and goes on with it. */
  async #compact(): Promise<void> {
    this.#meanwhile = []
    try {
      const temporary = `${this.#path}.new`
      const file = createWriteStream(temporary, { mode: 0o600 })
      file.on('error', (error) => {
        this.#env.log.error({ path: temporary, err: errorText(error) }, 'the simulated engine cannot be kept')
      })
      let bytes = 0
      let count = 0
      for (const line of this.#all()) {
        const text = `${JSON.stringify(line)}\n`
        bytes += text.length
        const isFull = !file.write(text)
        if (isFull) await drained(file)
        else if (++count % sliceLength === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      // From here to the change of files nothing is awaited but the rename: what comes goes to both.
      for (const text of this.#meanwhile.splice(0)) file.write(text)
      const old = this.#file
      this.#file = file
      this.#bytes = bytes
      this.#compactAtBytes = Math.max(compactFromBytes, 4 * bytes)
      await opened(file)
      await rename(temporary, this.#path)
      if (old !== undefined) await ended(old)
    } finally {
      this.#meanwhile = undefined
    }
  }

  *#all(): Generator<Line, void, undefined> {
    const world = this.#world
    for (const image of world.images.list()) yield { image }
    for (const volume of world.volumes.list()) yield { volume }
    for (const network of world.networks.list()) if (!network.builtin) yield { network }
    for (const container of world.containers().toReversed()) {
      yield { container: container.save(), body: container.make.body() }
    }
  }
}

/** A line that a crash cut off ends the journal. */
async function* readJournal(path: string): AsyncGenerator<Line, void, undefined> {
  const input = createReadStream(path, 'utf8')
  try {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      let line: Line
      try {
        line = JSON.parse(text) as Line
      } catch {
        // Only the last line can be like that.
        return
      }
      yield line
    }
  } catch (error) {
    // The first run has none.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    input.destroy()
  }
}

function opened(file: WriteStream): Promise<void> {
  return new Promise((resolve, reject) => {
    file.write('', (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

function ended(file: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    file.once('error', () => resolve())
    file.end(() => resolve())
  })
}

function drained(file: WriteStream): Promise<void> {
  return new Promise((resolve, reject) => {
    file.once('drain', resolve)
    file.once('error', reject)
  })
}
