import type { DockerCli } from '../../lib/docker-cli.js'
import { eventually } from '../../lib/eventually.js'
import type { Reply } from '../../lib/http-client.js'

/** A daemon that scenarios are played on. */
export interface Stage {
  readonly docker: DockerCli
  readonly request: (method: string, path: string) => Promise<Reply>
}

/** The parts of Docker's task object that are compared. */
export interface TaskObject {
  readonly ID: string
  readonly ServiceID: string
  readonly CreatedAt: string
  readonly Slot?: number
  readonly NodeID?: string
  readonly DesiredState: string
  readonly Status: {
    readonly State: string
    readonly Message?: string
    readonly Err?: string
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number }
  }
}

/** How many tasks of a service are how. */
export interface Counts {
  readonly live: number
  readonly running: number
  readonly pending: number
  readonly failed: number
  readonly complete: number
  readonly rejected: number
  readonly stopped: number
}

/** What is seen of one command. */
export interface CommandSeen {
  readonly command: string
  readonly code: number | null
  /** The end of the progress display: from its last count on. */
  readonly ends: readonly string[]
  readonly stderr: string
  /** Of the service, when the command has returned. */
  readonly updateStatus: string
}

/** Plays one scenario on one daemon, and notes what the CLI says. */
export class Actor {
  readonly name: string
  readonly seen: CommandSeen[] = []
  readonly #stage: Stage
  #serviceId = ''

  constructor(stage: Stage, name: string) {
    this.#stage = stage
    this.name = name
  }

  get serviceId(): string {
    return this.#serviceId
  }

  async create(flags: readonly string[], image: readonly string[]): Promise<void> {
    const isJob = flags.some((flag) => flag.endsWith('-job'))
    const monitor = isJob ? [] : ['--update-monitor', '1s', '--rollback-monitor', '1s']
    const common = ['--name', this.name, '--no-resolve-image', '--stop-signal', 'SIGKILL', ...monitor]
    const stdout = await this.service('create', [...common, ...flags, ...image])
    this.#serviceId = stdout.split('\n')[0] ?? ''
  }

  async update(flags: readonly string[]): Promise<void> {
    await this.service('update', ['--no-resolve-image', ...flags, this.name])
  }

  /** @returns stdout. */
  async service(verb: string, args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#stage.docker.run(['service', verb, ...args], {
      timeoutMs: 90_000,
    })
    this.seen.push({
      command: verb,
      code,
      ends: endOf(this.#normalised(stdout)),
      stderr: this.#normalised(stderr),
      updateStatus: await this.#updateStatus(),
    })
    return stdout
  }

  /** Changes the availability of the one node. */
  async node(availability: 'active' | 'pause' | 'drain'): Promise<void> {
    const id = (await this.#stage.docker.ok('info --format {{.Swarm.NodeID}}')).trim()
    await this.#stage.docker.ok(`node update --availability ${availability} ${id}`)
  }

  async tasks(): Promise<readonly TaskObject[]> {
    const filters = encodeURIComponent(JSON.stringify({ service: [this.name] }))
    const { status, text } = await this.#stage.request('GET', `/tasks?filters=${filters}`)
    if (status !== 200) throw new Error(`${text}\n${JSON.stringify(this.seen)}`)
    return JSON.parse(text) as TaskObject[]
  }

  /** The tasks once they are as they will stay. */
  async quietTasks(): Promise<readonly TaskObject[]> {
    return eventually(
      `the tasks of ${this.name} to be quiet`,
      async () => {
        const tasks = await this.tasks()
        if (tasks.every(isQuiet)) return tasks
        throw new Error(JSON.stringify(tasks.map(({ DesiredState, Status }) => [DesiredState, Status])))
      },
      60_000,
    )
  }

  /** Waits for tasks that are as `isSo` says. */
  async settled(isSo: (counts: Counts) => boolean): Promise<void> {
    await eventually(
      `the tasks of ${this.name} to settle`,
      async () => {
        const tasks = await this.tasks()
        if (isSo(count(tasks))) return true
        throw new Error(JSON.stringify(tasks.map(({ DesiredState, Status }) => [DesiredState, Status])))
      },
      60_000,
    )
  }

  async killContainer(): Promise<void> {
    const id = (await this.tasks())[0]?.Status.ContainerStatus?.ContainerID ?? ''
    await this.#stage.docker.ok(`kill ${id}`)
  }

  async remove(): Promise<void> {
    await this.#stage.docker.ok(`service rm ${this.name}`)
  }

  /** How the update ended, if there was one. */
  async #updateStatus(): Promise<string> {
    return eventually(
      `the update of ${this.name} to end`,
      async () => {
        const { status, text } = await this.#stage.request('GET', `/services/${this.name}`)
        if (status !== 200) return 'no service'
        const { UpdateStatus } = JSON.parse(text) as {
          readonly UpdateStatus?: { readonly State?: string; readonly Message?: string }
        }
        const { State = '', Message = '' } = UpdateStatus ?? {}
        if (State === 'updating' || State === 'rollback_started') return undefined
        return this.#normalised(`${State}: ${Message}`)
      },
      60_000,
    )
  }

  #normalised(text: string): string {
    return text.replaceAll(/\b[0-9a-z]{25}\b/g, 'ID').replaceAll(this.name, 'NAME')
  }
}

/**
 * How a progress display ends: its last count, where it has one for all tasks, and its last line. A count that
 * is not the whole is a matter of luck: a container that ends at once may have been seen running.
 */
function endOf(stdout: string): readonly string[] {
  const lines = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^overall progress: (\d+) out of (?!\1 )/, 'overall progress: some out of '))
  const last = lines.at(-1)
  const counts = lines.filter((line) => line.startsWith('overall progress: '))
  return [...counts.slice(-1), ...(last === undefined ? [] : [last])]
}

/** Nothing more will happen to the task by itself. */
function isQuiet({ DesiredState, Status: { State, Err = '' } }: TaskObject): boolean {
  switch (State) {
    case 'running':
      return DesiredState === 'running'
    case 'complete':
      return DesiredState === 'complete' || DesiredState === 'shutdown'
    case 'failed':
    case 'rejected':
    case 'shutdown':
      return DesiredState === 'shutdown'
    default:
      return State === 'pending' && Err !== '' && DesiredState !== 'ready'
  }
}

function count(tasks: readonly TaskObject[]): Counts {
  const isLive = ({ DesiredState }: TaskObject) => !['shutdown', 'remove'].includes(DesiredState)
  const live = tasks.filter(isLive)
  const inState = (list: readonly TaskObject[], state: string) =>
    list.filter(({ Status }) => Status.State === state).length
  return {
    live: live.length,
    running: inState(live, 'running'),
    pending: live.filter(({ Status }) => Status.State === 'pending' && (Status.Err ?? '') !== '').length,
    failed: inState(tasks, 'failed'),
    complete: inState(tasks, 'complete'),
    rejected: inState(tasks, 'rejected'),
    stopped: inState(tasks, 'shutdown'),
  }
}
