#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { loadConfig } from './daemon/config.js'
import { runDaemon } from './daemon/daemon.js'
import { OptionError, parseCommandLine, usage } from './daemon/options.js'

/** The version in package.json. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}

try {
  const line = parseCommandLine(process.argv.slice(2))
  if (line.action === 'help') console.log(usage())
  else if (line.action === 'version') console.log(`skepd version ${packageVersion()}`)
  else {
    const machine = { isRoot: process.getuid?.() === 0, environment: process.env }
    process.exitCode = await runDaemon(loadConfig(line.options, machine), packageVersion())
  }
} catch (error) {
  if (!(error instanceof OptionError)) throw error
  console.error(`skepd: ${error.message}`)
  process.exitCode = 1
}
