import { silentLog } from '../../env/log.js'
import { systemEnv } from '../../env/system.js'
import { parseFlags, wholeNumber } from '../flags.js'
import { clusterFigures } from './cluster-figures.js'
import { startPrivateDaemons } from './daemons.js'
import { measures, warmUp } from './measures.js'
import { formatGoalRow, formatRow, goalHeader, header, measureAll, type GoalRow } from './table.js'
import { benchWorkers, workerLines } from './workers.js'

const usage = `Usage: skep bench [--suite api|cluster|all | --workers N] [--format text|json]

api      Measures a skepd of its own with the simulated engine, and beside it, where a dockerd is installed
         and this is root, a dockerd of its own in a network namespace of its own. Prints each figure and
         the ratio.
cluster  Measures parts of a manager in this process, in a cluster of 10,000 nodes and 100,000 tasks. Prints
         each figure and how many times better than its goal it is.

--workers N measures instead what N simulated workers cost a cluster of three managers on this machine: how fast
they join, memory on the managers, and how long it takes until all have a session again when the leader is killed.`

const suites = ['api', 'cluster', 'all']

/** `skep bench`: how fast this machine's skepd is, beside dockerd and beside its goals. */
export const benchCommand = {
  name: 'bench',
  summary: 'Measure skepd, and dockerd beside it where one is installed',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { format, values } = parseFlags(args, {
      suite: { type: 'string', default: 'all' },
      workers: { type: 'string' },
    })
    if (values.workers !== undefined) {
      const figures = await benchWorkers(wholeNumber('workers', values.workers, 1), (line) => {
        if (format === 'text') console.error(line)
      })
      for (const line of format === 'text' ? workerLines(figures) : [JSON.stringify(figures)])
        console.log(line)
      return 0
    }
    const { suite } = values
    if (!suites.includes(suite)) throw new Error(`invalid --suite "${suite}": must be ${suites.join(', ')}`)
    const say = (line: string) => {
      if (format === 'text') console.log(line)
    }
    const api = suite === 'cluster' ? undefined : await measureApi(say)
    const cluster = suite === 'api' ? undefined : await measureCluster(say)
    if (format === 'json') console.log(JSON.stringify({ ...api, cluster }, undefined, 2))
    return 0
  },
}

async function measureApi(say: (line: string) => void) {
  const daemons = await startPrivateDaemons()
  try {
    const { targets, without } = daemons
    if (without !== undefined) say(`without dockerd beside it: ${without}`)
    say(header(targets))
    for (const target of targets) await warmUp(target)
    const rows = await measureAll(
      measures(() => performance.now()),
      targets,
      (row) => say(formatRow(row)),
    )
    return { targets: targets.map(({ name }) => name), rows }
  } finally {
    await daemons.stop()
  }
}

async function measureCluster(say: (line: string) => void): Promise<readonly GoalRow[]> {
  const env = systemEnv(silentLog)
  const rows: GoalRow[] = []
  say(goalHeader())
  for (const { name, unit, goal, run } of clusterFigures) {
    const row = { name, unit, goal, figure: await run(env) }
    rows.push(row)
    say(formatGoalRow(row))
  }
  return rows
}
