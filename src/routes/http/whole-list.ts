import type { FastifyReply } from 'fastify'
import { assembleList, sendEncoded, sendList } from './answer.js'

/** Longer lists are not kept: 100,000 tasks are 130 MB. They go out in slices each time. */
const keptLength = 20_000

/** Lists of the store. Each is the same object for as long as nothing in it changes. */
type Sources = readonly [readonly object[], ...(readonly object[])[]]

interface Kept {
  readonly sources: Sources
  answer: Buffer | Promise<Buffer>
}

/**
 * Answers with all objects of a kind, which is what most clients ask for: put together once for all who ask
 * until something changes, and gone with the list that they show.
 */
export class WholeLists {
  readonly #kept = new WeakMap<readonly object[], Kept>()

  /**
   * @param sources all that the answer is made of. @param select the objects in it.
   */
  async send<T>(
    reply: FastifyReply,
    sources: Sources,
    select: () => readonly T[],
    encode: (object: T) => Buffer,
  ): Promise<FastifyReply> {
    if (sources[0].length > keptLength) return sendList(reply, select(), encode)
    const known = this.#kept.get(sources[0])
    const isFresh = known?.sources.every((source, at) => source === sources[at])
    if (known !== undefined && isFresh === true) return sendEncoded(reply, await known.answer)
    const answer = assembleList(select(), encode)
    const kept: Kept = { sources, answer }
    this.#kept.set(sources[0], kept)
    try {
      kept.answer = await answer
    } catch (error) {
      this.#kept.delete(sources[0])
      throw error
    }
    return sendEncoded(reply, kept.answer)
  }
}
