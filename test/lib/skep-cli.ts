import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CliResult } from './docker-cli.js'

/** The built `skep` beside these compiled tests. */
const mainPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** Runs `skep` against one daemon, whatever its exit code. */
export function skep(
  { skepd }: { readonly skepd: { readonly host: string } },
  args: readonly string[],
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [mainPath, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DOCKER_HOST: skepd.host },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}
