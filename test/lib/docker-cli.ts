import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './needs.js'

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The stock `docker` CLI pointed at one daemon, with a configuration folder of its own. */
export class DockerCli {
  readonly #host: string
  readonly #config = mkdtempSync(join(tmpdir(), 'skep-cli-'))

  constructor(host: string) {
    this.#host = host
  }

  /** Runs a command, whatever its exit code. */
  run(
    args: readonly string[],
    options: { readonly input?: string; readonly timeoutMs?: number } = {},
  ): Promise<CliResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(findProgram('docker') ?? 'docker', args, {
        env: {
          ...process.env,
          DOCKER_HOST: this.#host,
          DOCKER_CONFIG: this.#config,
          DOCKER_CLI_HINTS: 'false',
        },
        timeout: options.timeoutMs ?? 60_000,
        killSignal: 'SIGKILL',
      })
      let stdout = ''
      let stderr = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout, stderr }))
      // A command that reads no input may be gone before it is written.
      child.stdin.on('error', (error: NodeJS.ErrnoException) => error.code === 'EPIPE' || reject(error))
      child.stdin.end(options.input ?? '')
    })
  }

  /** Runs a command line (split at spaces; use `run` where an argument has some) that must succeed; stdout. */
  async ok(line: string, input?: string): Promise<string> {
    const result = await this.run(line.split(' '), input === undefined ? {} : { input })
    if (result.code !== 0)
      throw new Error(`docker ${line}: exit ${result.code}\n${result.stdout}\n${result.stderr}`)
    return result.stdout
  }

  /** Runs a command line that must fail; stderr. */
  async fails(line: string): Promise<string> {
    const result = await this.run(line.split(' '))
    if (result.code === 0) throw new Error(`docker ${line} succeeded:\n${result.stdout}`)
    return result.stderr
  }

  async json(line: string): Promise<unknown> {
    return JSON.parse(await this.ok(line)) as unknown
  }

  dispose(): void {
    rmSync(this.#config, { recursive: true, force: true })
  }
}
