import { Actor, type CommandSeen, type Stage, type TaskObject } from './actor.js'
import type { Scenario } from './scenarios.js'

/** What became of one slot: its tasks, the oldest first, as they are at the end. */
export type SlotStory = readonly string[]

export interface Story {
  readonly commands: readonly CommandSeen[]
  /** In an order of their own: which slot is updated first is nobody's promise. */
  readonly slots: readonly SlotStory[]
  /** State and message of everything that was seen of the tasks, in each task's order. */
  readonly steps: ReadonlyMap<string, readonly Step[]>
}

export interface Step {
  readonly state: string
  readonly message: string
  readonly err: string
}

/** Plays scenarios, some at a time, and watches all tasks meanwhile. */
export async function play(
  stage: Stage,
  scenarios: readonly Scenario[],
  atATime: number,
): Promise<ReadonlyMap<string, Story>> {
  const watcher = new Watcher(stage)
  const watching = watcher.run()
  const stories = new Map<string, Story>()
  const queue = [...scenarios.entries()]
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [at, scenario] = next
      const actor = new Actor(stage, `scene-${at}`)
      try {
        await scenario.run(actor)
      } catch (error) {
        throw new Error(`${scenario.name}: ${JSON.stringify(actor.seen)}`, { cause: error })
      }
      const slots = slotsOf(await actor.quietTasks())
      await actor.remove()
      stories.set(scenario.name, { commands: actor.seen, slots, steps: watcher.stepsOf(actor.serviceId) })
    }
  }
  try {
    await Promise.all(Array.from({ length: atATime }, work))
  } finally {
    watcher.stop()
    await watching
  }
  return stories
}

/** Looks at all tasks again and again: only short states are missed. */
class Watcher {
  readonly #stage: Stage
  readonly #steps = new Map<string, Map<string, Step[]>>()
  #over = false

  constructor(stage: Stage) {
    this.#stage = stage
  }

  stop(): void {
    this.#over = true
  }

  stepsOf(serviceId: string): ReadonlyMap<string, readonly Step[]> {
    return this.#steps.get(serviceId) ?? new Map()
  }

  async run(): Promise<void> {
    while (!this.#over) {
      const { text } = await this.#stage.request('GET', '/tasks')
      for (const task of JSON.parse(text) as TaskObject[]) this.#note(task)
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
  }

  #note({ ID, ServiceID, Status }: TaskObject): void {
    let tasks = this.#steps.get(ServiceID)
    if (tasks === undefined) this.#steps.set(ServiceID, (tasks = new Map()))
    let steps = tasks.get(ID)
    if (steps === undefined) tasks.set(ID, (steps = []))
    const step = { state: Status.State, message: Status.Message ?? '', err: Status.Err ?? '' }
    const last = steps.at(-1)
    if (last?.state !== step.state || last.message !== step.message || last.err !== step.err) steps.push(step)
  }
}

function slotsOf(tasks: readonly TaskObject[]): readonly SlotStory[] {
  const slots = new Map<string, TaskObject[]>()
  for (const task of tasks.toSorted((a, b) => (a.CreatedAt < b.CreatedAt ? -1 : 1))) {
    const slot = task.Slot === undefined ? (task.NodeID ?? '') : String(task.Slot)
    slots.set(slot, [...(slots.get(slot) ?? []), task])
  }
  return [...slots.values()].map((slot) => slot.map(describe)).sort((a, b) => (a.join() < b.join() ? -1 : 1))
}

function describe({ DesiredState, Status }: TaskObject): string {
  const { State, Message = '', Err = '', ContainerStatus } = Status
  // Docker reports the status of a container that was never made, too.
  const exit = (ContainerStatus?.ContainerID ?? '') === '' ? '' : ` exit ${ContainerStatus?.ExitCode ?? 0}`
  return `${DesiredState} ${State} '${Message}' '${Err}'${exit}`
}
