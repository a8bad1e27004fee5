import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { errorText } from '../../model/errors.js'

const chaosFields = {
  /**
   * `crash`: the machine is gone, with its containers. `disconnect`: only its network is. `return`: it is back;
   * after a crash without its containers.
   */
  action: Type.Union([Type.Literal('crash'), Type.Literal('disconnect'), Type.Literal('return')]),
  /** How many, chosen by the seed, or which. */
  nodes: Type.Union([Type.Integer({ minimum: 1 }), Type.Array(Type.String(), { minItems: 1 })]),
}
const ChaosSchema = Type.Object(chaosFields, { additionalProperties: false })
const ChaosStepSchema = Type.Object(
  /** Since all nodes have joined. */
  { atMs: Type.Integer({ minimum: 0 }), ...chaosFields },
  { additionalProperties: false },
)
const ChaosPlanSchema = Type.Array(ChaosStepSchema)

/** One thing that happens to a crowd of nodes. */
export type Chaos = Readonly<Static<typeof ChaosSchema>>
/** The same at its time. */
export type ChaosStep = Readonly<Static<typeof ChaosStepSchema>>

/** What a node is like now, as far as chaos is concerned. */
export type Presence = 'up' | 'crashed' | 'disconnected'

/**
 * Reads the text of a chaos file: a JSON list of steps.
 * @param names all nodes.
 * @returns the steps in the order of their times.
 * @throws {Error} that names the first step that is wrong, and why.
 */
export function parseChaos(text: string, names: readonly string[]): readonly ChaosStep[] {
  const json = parseJson(text)
  if (!Array.isArray(json)) throw new Error('it must be a JSON list of steps')
  const bad = json.findIndex((step) => !Value.Check(ChaosStepSchema, step))
  if (bad >= 0 || !Value.Check(ChaosPlanSchema, json)) {
    throw new Error(
      `step ${bad + 1} is not {"atMs": N, "action": "crash" | "disconnect" | "return", "nodes": N | ["sim-1", …]}`,
    )
  }
  for (const { nodes } of json) checkNodes(nodes, names)
  return json.toSorted((a, b) => a.atMs - b.atMs)
}

/**
 * Reads one line of those that say what befalls the nodes at once.
 * @throws {Error} that says what is wrong with it.
 */
export function parseChaosLine(text: string, names: readonly string[]): Chaos {
  const json = parseJson(text)
  if (!Value.Check(ChaosSchema, json)) {
    throw new Error(`not {"action": "crash" | "disconnect" | "return", "nodes": N | ["sim-1", …]}`)
  }
  checkNodes(json.nodes, names)
  return json
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`invalid JSON: ${errorText(error)}`, { cause: error })
  }
}

function checkNodes(nodes: Chaos['nodes'], names: readonly string[]): void {
  if (typeof nodes === 'number') {
    if (nodes > names.length) throw new Error(`there are no ${nodes} nodes`)
    return
  }
  const known = new Set(names)
  const unknown = nodes.find((name) => !known.has(name))
  if (unknown !== undefined) throw new Error(`there is no node ${unknown}`)
}

/**
 * Whom a step befalls. Names stand for themselves; a number is chosen by `randomInt` among those that it can
 * befall, which may be fewer: nodes that are up, for `return` those that are not.
 */
export function chooseNodes(
  { action, nodes }: Chaos,
  presence: ReadonlyMap<string, Presence>,
  randomInt: (bound: number) => number,
): readonly string[] {
  const fits = (name: string) => (presence.get(name) === 'up') === (action !== 'return')
  if (typeof nodes !== 'number') return nodes.filter(fits)
  const pool = [...presence.keys()].filter(fits)
  const chosen: string[] = []
  while (chosen.length < nodes && pool.length > 0) chosen.push(...pool.splice(randomInt(pool.length), 1))
  return chosen
}
