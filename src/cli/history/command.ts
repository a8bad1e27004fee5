import { DaemonClient } from '../daemon-client.js'
import { parseCommand, wholeNumber } from '../flags.js'
import { historyText, type History } from './text.js'

const usage = `Usage: skep history SERVICE [OPTIONS]

Lists the specs that a service had, the newest first: when it got each one, why, and what was changed. The
values of environment variables are not shown. With --rollback, goes back to one of them, with the rollback
settings of that spec; 'docker service ps SERVICE' shows how far that is.

Options:
      --rollback N          Go back to revision N instead of listing them
  -H, --host HOST           The daemon, a manager: unix:///path or tcp://address:port (default $DOCKER_HOST)
      --format text|json    Text for people, or what /skep/v1/services/ID/history answers (default text)
  -h, --help                Print this help`

/** `skep history`: what a service was, and the way back. */
export const historyCommand = {
  name: 'history',
  summary: 'List the specs that a service had, or go back to one',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { values, positionals, format } = parseCommand(
      args,
      { host: { type: 'string', short: 'H' }, rollback: { type: 'string' } },
      { least: 1, most: 1 },
    )
    const [name = ''] = positionals
    const path = `/skep/v1/services/${encodeURIComponent(name)}`
    const api = new DaemonClient(values.host)
    if (values.rollback === undefined) {
      const history = (await api.json('GET', `${path}/history`)) as History
      console.log(format === 'json' ? JSON.stringify(history, undefined, 2) : historyText(history))
      return 0
    }
    const revision = wholeNumber('rollback', values.rollback, 1)
    const answer = await api.json('POST', `${path}/rollback?revision=${revision}`)
    const text = `service ${name} goes back to revision ${revision}`
    console.log(format === 'json' ? JSON.stringify(answer, undefined, 2) : text)
    return 0
  },
}
