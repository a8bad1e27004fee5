import { DaemonClient, DaemonError, hostFlag, hostHelp } from '../daemon-client.js'
import { parseCommand } from '../flags.js'
import { explanationText, type Explanation } from './text.js'

const usage = `Usage: skep explain TASK|SERVICE [OPTIONS]

Says where a task runs, or why it does not: the verdict of every node, with what is free and reserved there.
Of a service, one task for each thing that keeps tasks waiting; where none waits, its newest task.

Options:
${hostHelp}
      --format text|json   Text for people, or a list of what /skep/v1/tasks/ID/explain answers (default text)
  -h, --help               Print this help`

interface TaskOfService {
  readonly ID: string
  readonly CreatedAt: string
  readonly DesiredState: string
  readonly Status: { readonly State: string; readonly Err?: string }
}

/** `skep explain`: why a task is where it is. */
export const explainCommand = {
  name: 'explain',
  summary: 'Say why a task runs where it does, or does not run',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { values, positionals, format } = parseCommand(args, hostFlag, { least: 1, most: 1 })
    const [name = ''] = positionals
    const api = new DaemonClient(values.host)
    const explanations = await Promise.all(
      (await tasksToExplain(api, name)).map(
        async (id) =>
          (await api.json('GET', `/skep/v1/tasks/${encodeURIComponent(id)}/explain`)) as Explanation,
      ),
    )
    if (format === 'json') console.log(JSON.stringify(explanations, undefined, 2))
    else console.log(explanations.map((explanation) => explanationText(explanation)).join('\n\n'))
    return 0
  },
}

interface NamedService {
  readonly ID: string
  readonly Spec: { readonly Name: string }
}

/** IDs. @throws {Error} when there is neither a task nor a service of that name, or the service has no tasks. */
async function tasksToExplain(api: DaemonClient, name: string): Promise<readonly string[]> {
  const path = encodeURIComponent(name)
  const service = (await found(api.json('GET', `/services/${path}`))) as NamedService | undefined
  // The beginning of a service's ID may be that of a task's.
  const isWhole = service !== undefined && [service.ID, service.Spec.Name].includes(name)
  const task = isWhole ? undefined : await found(api.json('GET', `/tasks/${path}`))
  if (task !== undefined) return [(task as TaskOfService).ID]
  if (service === undefined) throw new Error(`no such task or service: ${name}`)
  const filters = encodeURIComponent(JSON.stringify({ service: [service.ID] }))
  const tasks = (await api.json('GET', `/tasks?filters=${filters}`)) as readonly TaskOfService[]
  const chosen = chooseTasks(tasks)
  if (chosen.length === 0) throw new Error(`service ${name} has no tasks`)
  return chosen
}

async function found(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof DaemonError && error.status === 404) return undefined
    throw error
  }
}

const waitingStates: readonly string[] = ['new', 'pending']

/** Of tasks that wait, the first for each reason; else the newest that is meant to run, else the newest. */
export function chooseTasks(tasks: readonly TaskOfService[]): readonly string[] {
  const newestFirst = tasks.toSorted((a, b) => (a.CreatedAt > b.CreatedAt ? -1 : 1))
  const wanted = newestFirst.filter(({ DesiredState }) => !['shutdown', 'remove'].includes(DesiredState))
  const waiting = new Map<string, string>()
  for (const { ID, Status } of wanted) {
    if (waitingStates.includes(Status.State)) waiting.set(`${Status.State} ${Status.Err ?? ''}`, ID)
  }
  if (waiting.size > 0) return [...waiting.values()]
  const newest = wanted[0] ?? newestFirst[0]
  return newest === undefined ? [] : [newest.ID]
}
