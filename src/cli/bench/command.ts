import { parseFlags } from '../flags.js'
import { startPrivateDaemons } from './daemons.js'
import { measures, warmUp } from './measures.js'
import { formatRow, header, measureAll } from './table.js'

const usage = `Usage: skep bench [--format text|json]

Measures a skepd of its own with the simulated engine, and beside it, where a dockerd is installed and this
is root, a dockerd of its own in a network namespace of its own. Prints each figure and the ratio.`

/** `skep bench`: how fast this machine's skepd is, beside dockerd. */
export const benchCommand = {
  name: 'bench',
  summary: 'Measure skepd, and dockerd beside it where one is installed',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { format } = parseFlags(args, {})
    const text = format === 'text'
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
