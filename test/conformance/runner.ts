import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { eventually } from '../lib/eventually.js'
import type { Reply, RequestOptions } from '../lib/http-client.js'
import { normalise, type Answer } from './normalise.js'
import type { Call, Context, Step } from './script.js'

/** A daemon that the script is run against. */
export interface Target {
  readonly listenAddr: string
  /** Folders of this run by what they are. */
  readonly folders?: ReadonlyMap<string, string>
  request(method: string, path: string, options?: RequestOptions): Promise<Reply>
}

export interface Exchange {
  readonly name: string
  readonly answer: Answer
  /** Why the step could not be carried out; the answer is then of no use. */
  readonly failure?: string
}

/** Runs all steps in order. A step that cannot be carried out is reported as such, and the next one follows. */
export async function runScript(target: Target, steps: readonly Step[]): Promise<Exchange[]> {
  const names = new Map([
    [target.listenAddr, 'listen address'],
    [hostname(), 'hostname'],
    ...(target.folders ?? []),
  ])
  const ids = new Map<string, string>()
  const context = contextOf(target, ids, names)
  const exchanges: Exchange[] = []
  for (const step of steps) {
    try {
      await step.before?.(context)
      const reply = await send(target, typeof step.call === 'function' ? await step.call(context) : step.call)
      if (step.save !== undefined && reply.status < 300) context.save(step.save, idIn(reply.json()))
      if (step.byId === true && reply.status === 200) assertById(reply.json())
      exchanges.push({ name: step.name, answer: normalise(reply, names, step.pick) })
    } catch (error) {
      if (isGone(error)) throw new Error(`the daemon is gone before or at: ${step.name}`, { cause: error })
      exchanges.push({ name: step.name, answer: noAnswer, failure: failureText(error) })
    }
  }
  return exchanges
}

const noAnswer: Answer = { status: 0, contentType: null, headers: [], finalNewline: false, body: null }

function contextOf(target: Target, ids: Map<string, string>, names: Map<string, string>): Context {
  const get = async (path: string): Promise<unknown> => {
    const reply = await target.request('GET', path)
    if (reply.status !== 200) throw new Error(`GET ${path}: ${reply.status} ${reply.text}`)
    return reply.json()
  }
  return {
    listenAddr: target.listenAddr,
    request: (method, path, options) => target.request(method, path, options),
    get,
    async version(path) {
      const { Version } = (await get(path)) as { Version: { Index: number } }
      return Version.Index
    },
    id(name) {
      const id = ids.get(name)
      if (id === undefined) throw new Error(`no step has saved ${name}`)
      return id
    },
    save(name, id) {
      ids.set(name, id)
      // The host name is one already.
      if (!names.has(id)) names.set(id, name)
    },
    until: async (what, path, test) => {
      await eventually(what, async () => test(await get(path)), 30_000)
    },
  }
}

function send(target: Target, call: Call): Promise<Reply> {
  const { method, path, body, raw, headers } = call
  return target.request(method, path, {
    ...(headers !== undefined && { headers }),
    ...(raw !== undefined ? { body: raw } : body !== undefined && { body }),
  })
}

function idIn(body: unknown): string {
  if (typeof body === 'string') return body
  const { ID, Id } = body as { ID?: string; Id?: string }
  const id = ID ?? Id
  if (id === undefined) throw new Error('the answer holds no ID')
  return id
}

function assertById(body: unknown): void {
  const ids = (body as { ID: string }[]).map(({ ID }) => ID)
  assert.ok(ids.length > 1, 'a list of one has no order')
  assert.deepEqual(ids, ids.toSorted(), 'the list must come by ID')
}

/** Nobody listens any more: waiting for the rest of the script would take an hour. */
function isGone(error: unknown): boolean {
  const { code, cause } = error as { code?: string; cause?: unknown }
  return code === 'ECONNREFUSED' || code === 'ENOENT' || (cause !== undefined && isGone(cause))
}

function failureText(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}
