#!/usr/bin/env node
/** A helper that Docker's CLI has no word for. Resolves with the exit code. */
export interface Command {
  readonly name: string
  readonly summary: string
  readonly run: (args: readonly string[]) => Promise<number>
}

/** By name, in the order of the help. Loaded when it is used: a witness is to be small. */
const commands = new Map<string, () => Promise<Command>>([
  ['backup', async () => (await import('./recovery/backup.js')).backupCommand],
  ['bench', async () => (await import('./bench/command.js')).benchCommand],
  ['explain', async () => (await import('./explain/command.js')).explainCommand],
  ['history', async () => (await import('./history/command.js')).historyCommand],
  ['rebalance', async () => (await import('./rebalance/command.js')).rebalanceCommand],
  ['recover', async () => (await import('./recovery/recover.js')).recoverCommand],
  ['restore', async () => (await import('./recovery/restore.js')).restoreCommand],
  ['sim', async () => (await import('./sim/command.js')).simCommand],
  ['witness', async () => (await import('./witness/command.js')).witnessCommand],
])

async function usage(): Promise<string> {
  const all = await Promise.all([...commands.values()].map((load) => load()))
  return [
    'Usage: skep COMMAND [OPTIONS]',
    '',
    "What Docker's CLI has no word for. Everything else is `docker` with DOCKER_HOST.",
    '',
    'Commands:',
    ...all.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`),
    '',
    'Run `skep COMMAND --help` for more.',
  ].join('\n')
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h') {
    console.log(await usage())
    return name === undefined ? 1 : 0
  }
  const load = commands.get(name)
  if (load === undefined) {
    console.error(`skep: '${name}' is not a skep command. See 'skep --help'`)
    return 1
  }
  try {
    return await (await load()).run(rest)
  } catch (error) {
    console.error(`skep ${name}: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
