import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** A child process whose output is kept, and that must not outlive its test. */
export class DaemonProcess {
  readonly child: ChildProcess
  readonly #name: string
  readonly #chunks: Buffer[] = []
  readonly #exited: Promise<unknown>

  /** @param stdin `pipe` to write to `child.stdin`. */
  constructor(
    name: string,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
    stdin: 'ignore' | 'pipe' = 'ignore',
  ) {
    this.#name = name
    this.child = spawn(command, args, { stdio: [stdin, 'pipe', 'pipe'], env })
    this.child.stdout?.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    this.child.stderr?.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    this.child.on('error', (error) => this.#chunks.push(Buffer.from(`${error.message}\n`)))
    this.#exited = new Promise((resolve) => {
      this.child.once('close', resolve)
    })
  }

  /** All that it has written to stdout and stderr, in the order of arrival. */
  log(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }

  get pid(): number {
    const { pid } = this.child
    if (pid === undefined) throw new Error(`${this.#name} did not start: ${this.log()}`)
    return pid
  }

  get running(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** Throws with the log when the process is gone: for loops that wait for it to answer. */
  assertRunning(): void {
    if (!this.running) throw new DaemonExited(`${this.#name} exited (${this.#how()}):\n${tail(this.log())}`)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Resolves with the exit code (null = by a signal) once it is gone and its output is complete. */
  async exit(timeoutMs = 20_000): Promise<number | null> {
    const timeout = AbortSignal.timeout(timeoutMs)
    await Promise.race([
      this.#exited,
      once(timeout, 'abort').then(() => {
        throw new Error(
          `${this.#name} (pid ${this.pid}) still runs after ${timeoutMs} ms:\n${tail(this.log())}`,
        )
      }),
    ])
    return this.child.exitCode
  }

  #how(): string {
    return this.child.signalCode ?? `code ${this.child.exitCode}`
  }
}

/** A daemon ended while a test waited for it. */
export class DaemonExited extends Error {}

function tail(text: string): string {
  return text.split('\n').slice(-40).join('\n')
}
