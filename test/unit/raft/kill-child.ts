// A process that writes to a raft log as fast as it can and says what was acknowledged, until it is killed.
import { writeSync } from 'node:fs'
import { DatabaseThread, Sealer } from '../../../src/db/index.js'
import { silentLog } from '../../../src/env/log.js'
import { systemEnv } from '../../../src/env/system.js'
import { noTransport, RaftDriver, raftLogSchema, SqliteLog } from '../../../src/raft/index.js'

const [path = '', round = ''] = process.argv.slice(2)
const db = await DatabaseThread.open(path, { schema: raftLogSchema })
let next = 0

const driver = await RaftDriver.start(systemEnv(silentLog), {
  id: 'a',
  storage: new SqliteLog(db, Sealer.of(Buffer.alloc(32, 1))),
  stateMachine: {
    appliedIndex: 0,
    apply(index, _term, data) {
      const text = Buffer.from(data).toString()
      if (!text.startsWith(`${round}/`)) return
      // One line per acknowledged write; a kill cuts the last one at most.
      writeSync(1, `${index} ${text}\n`)
      setImmediate(propose)
    },
    snapshot: () => {
      throw new Error('not needed')
    },
    restore: () => Promise.reject(new Error('not needed')),
  },
  transport: noTransport,
  bootstrap: { context: '' },
  onFatal: (error) => {
    throw error
  },
})

function propose(): void {
  driver.propose(Buffer.from(`${round}/${next++}`))
}

const unsubscribe = driver.onLeadershipChange(({ isLeader }) => {
  if (!isLeader) return
  unsubscribe()
  for (let i = 0; i < 16; i++) propose()
})
