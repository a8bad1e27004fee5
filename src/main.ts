#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from './daemon/config.js'
import { runDaemon } from './daemon/daemon.js'
import { SwarmError } from './model/errors.js'
import { OptionError, parseCommandLine, usage } from './daemon/options.js'

/** The version in the package's `package.json`, however deep below it the compiled files lie. */
function packageVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  return version
}

try {
  const line = parseCommandLine(process.argv.slice(2))
  if (line.action === 'run') {
    const machine = { isRoot: process.getuid?.() === 0, environment: process.env }
    process.exitCode = await runDaemon(loadConfig(line.options, machine), packageVersion())
  } else {
    console.log(line.action === 'help' ? usage() : `skepd version ${packageVersion()}`)
  }
} catch (error) {
  if (!(error instanceof OptionError || error instanceof SwarmError)) throw error
  console.error(`skepd: ${error.message}`)
  process.exitCode = 1
}
