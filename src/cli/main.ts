#!/usr/bin/env node
import { benchCommand } from './bench/command.js'
import { explainCommand } from './explain/command.js'
import { historyCommand } from './history/command.js'
import { backupCommand } from './recovery/backup.js'
import { recoverCommand } from './recovery/recover.js'
import { restoreCommand } from './recovery/restore.js'
import { simCommand } from './sim/command.js'

/** A helper that Docker's CLI has no word for. Resolves with the exit code. */
export interface Command {
  readonly name: string
  readonly summary: string
  readonly run: (args: readonly string[]) => Promise<number>
}

const commands: readonly Command[] = [
  backupCommand,
  benchCommand,
  explainCommand,
  historyCommand,
  recoverCommand,
  restoreCommand,
  simCommand,
]

function usage(): string {
  return [
    'Usage: skep COMMAND [OPTIONS]',
    '',
    "What Docker's CLI has no word for. Everything else is `docker` with DOCKER_HOST.",
    '',
    'Commands:',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`),
    '',
    'Run `skep COMMAND --help` for more.',
  ].join('\n')
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h') {
    console.log(usage())
    return name === undefined ? 1 : 0
  }
  const command = commands.find((candidate) => candidate.name === name)
  if (command === undefined) {
    console.error(`skep: '${name}' is not a skep command. See 'skep --help'`)
    return 1
  }
  try {
    return await command.run(rest)
  } catch (error) {
    console.error(`skep ${name}: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
