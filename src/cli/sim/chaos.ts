import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { errorText } from '../../model/errors.js'

const ChaosStepSchema = Type.Object(
  {
    /** Since all nodes have joined. */
    atMs: Type.Integer({ minimum: 0 }),
    /**
     * `crash`: the machine is gone, with its containers. `disconnect`: only its network is. `return`: it is back;
     * after a crash without its containers.
     */
    action: Type.Union([Type.Literal('crash'), Type.Literal('disconnect'), Type.Literal('return')]),
    /** How many, chosen by the seed, or which. */
    nodes: Type.Union([Type.Integer({ minimum: 1 }), Type.Array(Type.String(), { minItems: 1 })]),
  },
  { additionalProperties: false },
)
const ChaosPlanSchema = Type.Array(ChaosStepSchema)

/** One thing that happens to a crowd of nodes. */
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
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new Error(`invalid JSON: ${errorText(error)}`, { cause: error })
  }
  if (!Array.isArray(json)) throw new Error('it must be a JSON list of steps')
  const bad = json.findIndex((step) => !Value.Check(ChaosStepSchema, step))
  if (bad >= 0 || !Value.Check(ChaosPlanSchema, json)) {
    throw new Error(
      `step ${bad + 1} is not {"atMs": N, "action": "crash" | "disconnect" | "return", "nodes": N | ["sim-1", …]}`,
    )
  }
  const known = new Set(names)
  for (const { nodes } of json) {
    const unknown = typeof nodes === 'number' ? undefined : nodes.find((name) => !known.has(name))
    if (unknown !== undefined) throw new Error(`there is no node ${unknown}`)
    if (typeof nodes === 'number' && nodes > names.length) throw new Error(`there are no ${nodes} nodes`)
  }
  return json.toSorted((a, b) => a.atMs - b.atMs)
}

/**
 * Whom a step befalls. Names stand for themselves; a number is chosen by `randomInt` among those that it can
 * befall, which may be fewer: nodes that are up, for `return` those that are not.
 */
export function chooseNodes(
  { action, nodes }: ChaosStep,
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
