import type { Move, RebalancePreview } from '../../scheduler/index.js'
import { DaemonClient, hostFlag, hostHelp } from '../daemon-client.js'
import { parseCommand } from '../flags.js'
import { table } from '../table.js'

const usage = `Usage: skep rebalance [SERVICE] [OPTIONS]

Moves tasks of replicated services to where they would be placed today, after nodes joined or came back.
Each successor starts before its task stops, a few at a time, and only while all replicas run. Tasks that keep
data on their node (volumes of the local driver, writable bind mounts) stay. Prints the moves and returns;
'docker service ps' shows how far they are. The label skep.rebalance=auto on a service, or on the swarm's
spec, does the same by itself.

Options:
      --dry-run            Only print what would move
${hostHelp}
      --format text|json   Text for people, or what /skep/v1/rebalance answers (default text)
  -h, --help               Print this help`

type Answer = RebalancePreview & { readonly dryRun: boolean }

/** `skep rebalance`: tasks spread anew. */
export const rebalanceCommand = {
  name: 'rebalance',
  summary: 'Move tasks to nodes that joined or came back',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const flags = { ...hostFlag, 'dry-run': { type: 'boolean', default: false } } as const
    const { values, positionals, format } = parseCommand(args, flags, { least: 0, most: 1 })
    const query = new URLSearchParams({ dryRun: String(values['dry-run']) })
    if (positionals[0] !== undefined) query.set('service', positionals[0])
    const path = `/skep/v1/rebalance?${query.toString()}`
    const answer = (await new DaemonClient(values.host).json('POST', path)) as Answer
    console.log(format === 'json' ? JSON.stringify(answer, undefined, 2) : rebalanceText(answer))
    return 0
  },
}

/** The moves, and why some services have none, for people. */
export function rebalanceText({ dryRun, moves, obstacles }: Answer): string {
  const cells = (move: Move) => [move.taskName, move.fromHostname, move.toHostname, move.reason]
  const moved = new Set(moves.map(({ serviceName }) => serviceName)).size
  const count = (amount: number, what: string) => `${amount} ${what}${amount === 1 ? '' : 's'}`
  const verb = dryRun ? 'would move' : 'will move'
  return [
    moves.length === 0
      ? 'Nothing to move.'
      : `${count(moves.length, 'task')} of ${count(moved, 'service')} ${verb}:`,
    ...(moves.length === 0 ? [] : ['', ...table([['TASK', 'FROM', 'TO', 'WHY'], ...moves.map(cells)])]),
    ...(obstacles.length === 0 ? [] : ['', 'Not moved:']),
    ...obstacles.map(
      ({ serviceName, text, passes }) => `  ${serviceName} ${text}${passes ? ', for now' : ''}`,
    ),
  ].join('\n')
}
