import { parseFlags, wholeNumber } from '../flags.js'
import { startPrivateDaemons } from './daemons.js'
import { measures, warmUp } from './measures.js'
import { formatRow, header, measureAll } from './table.js'
import { benchWorkers, workerLines } from './workers.js'

const usage = `Usage: skep bench [--workers N] [--format text|json]

Measures a skepd of its own with the simulated engine, and beside it, where a dockerd is installed and this
is root, a dockerd of its own in a network namespace of its own. Prints each figure and the ratio.

With --workers N it measures instead what N simulated workers cost a cluster of three managers on this machine:
how fast they join, memory on the managers, and how long it takes until all have a session again when the leader
is killed.`

/** `skep bench`: how fast this machine's skepd is, beside dockerd. */
export const benchCommand = {
  name: 'bench',
  summary: 'Measure skepd, and dockerd beside it where one is installed',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { format, values } = parseFlags(args, { workers: { type: 'string' } })
    const text = format === 'text'
    if (values.workers !== undefined) {
      const figures = await benchWorkers(
        wholeNumber('workers', values.workers, 1),
        (line) => text && console.error(line),
      )
      for (const line of text ? workerLines(figures) : [JSON.stringify(figures)]) console.log(line)
      return 0
    }
    const daemons = await startPrivateDaemons()
    try {
      if (text && daemons.without !== undefined) console.log(`without dockerd beside it: ${daemons.without}`)
      if (text) console.log(header(daemons.targets))
      for (const target of daemons.targets) await warmUp(target)
      const rows = await measureAll(
        measures(() => performance.now()),
        daemons.targets,
        (row) => text && console.log(formatRow(row)),
      )
      if (!text)
        console.log(JSON.stringify({ targets: daemons.targets.map(({ name }) => name), rows }, undefined, 2))
      return 0
    } finally {
      await daemons.stop()
    }
  },
}
