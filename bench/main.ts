import { measures } from '../src/cli/bench/measures.js'
import { formatRow, header, measureAll } from '../src/cli/bench/table.js'
import { Target } from '../src/cli/bench/target.js'
import { Dockerd } from '../test/lib/dockerd.js'
import { needs } from '../test/lib/needs.js'
import { Skepd } from '../test/lib/skepd.js'

// Measures a skepd, and beside it a dockerd of its own where one can be started here.
const skepd = await Skepd.start()
const lacking = needs('engine')
const dockerd = lacking === false ? await Dockerd.start() : undefined
const targets = [
  new Target('skepd', skepd.host),
  ...(dockerd === undefined ? [] : [new Target('dockerd', dockerd.host)]),
]
try {
  for (const target of targets) {
    await target.call('POST', '/swarm/init', { ListenAddr: '127.0.0.1:0', AdvertiseAddr: '127.0.0.1' })
  }
  if (lacking !== false) console.log(`without dockerd beside it: ${lacking}`)
  console.log(header(targets))
  await measureAll(
    measures(() => performance.now()),
    targets,
    (row) => console.log(formatRow(row)),
  )
} finally {
  for (const target of targets) target.close()
  await skepd.stop()
  await dockerd?.stop()
}
