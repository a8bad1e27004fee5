import { parseArgs } from 'node:util'
import { startPrivateDaemons } from './daemons.js'
import { measures } from './measures.js'
import { formatRow, header, measureAll } from './table.js'

const usage = `Usage: skep bench [--format text|json]

Measures a skepd of its own with the simulated engine, and beside it, where a dockerd is installed and this
is root, a dockerd of its own in a network namespace of its own. Prints each figure and the ratio.`

/** `skep bench`: how fast this machine's skepd is, beside dockerd. */
export const benchCommand = {
  name: 'bench',
  summary: 'Measure skepd, and dockerd beside it where one is installed',
  run: async (args: readonly string[]): Promise<number> => {
    const { values } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h' }, format: { type: 'string', default: 'text' } },
    })
    if (values.help === true) {
      console.log(usage)
      return 0
    }
    if (values.format !== 'text' && values.format !== 'json') {
      throw new Error(`invalid --format "${values.format}": must be text or json`)
    }
    const text = values.format === 'text'
    const daemons = await startPrivateDaemons()
    try {
      if (text && daemons.without !== undefined) console.log(`without dockerd beside it: ${daemons.without}`)
      if (text) console.log(header(daemons.targets))
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
