import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DaemonProcess } from './daemon-process.js'
import { eventually } from './eventually.js'
import { request, type Reply, type RequestOptions } from './http-client.js'

/** The built daemon beside these compiled tests: `<build>/src/main.js`. */
const mainPath = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export interface SkepdOptions {
  /** `--engine`; default `simulated`. */
  readonly engine?: string
  /** More flags, such as `--host tcp://127.0.0.1:0`. */
  readonly args?: readonly string[]
  /** Uses this data root, and keeps it on stop. Default: a fresh one below a temporary folder. */
  readonly dataRoot?: string
  readonly env?: NodeJS.ProcessEnv
  /** Wraps the command line, e.g. `(...c) => dockerd.inNetwork(...c)` to run in dockerd's network. */
  readonly wrap?: (command: string, ...args: string[]) => [command: string, args: string[]]
}

/** A real skepd process on a unix socket below a temporary folder. */
export class Skepd {
  readonly dir: string
  readonly dataRoot: string
  readonly socketPath: string
  /** For DOCKER_HOST. */
  readonly host: string
  readonly #options: SkepdOptions
  #process: DaemonProcess

  private constructor(dir: string, options: SkepdOptions) {
    this.dir = dir
    this.dataRoot = options.dataRoot ?? join(dir, 'data')
    this.socketPath = join(dir, 'skepd.sock')
    this.host = `unix://${this.socketPath}`
    this.#options = options
    this.#process = this.#spawn()
  }

  /** Starts one and waits until it answers. */
  static async start(options: SkepdOptions = {}): Promise<Skepd> {
    const skepd = new Skepd(mkdtempSync(join(tmpdir(), 'skep-skepd-')), options)
    try {
      await skepd.#answers()
      return skepd
    } catch (error) {
      await skepd.#end('SIGKILL')
      rmSync(skepd.dir, { recursive: true, force: true })
      throw error
    }
  }

  get pid(): number {
    return this.#process.pid
  }

  get running(): boolean {
    return this.#process.running
  }

  /** Resolves with the exit code (null = by a signal) when the process ends by itself. */
  exit(timeoutMs?: number): Promise<number | null> {
    return this.#process.exit(timeoutMs)
  }

  /** One API call. */
  request(method: string, path: string, options?: RequestOptions): Promise<Reply> {
    return request({ socketPath: this.socketPath }, method, path, options)
  }

  /** What the present process has written to stdout and stderr. */
  log(): string {
    return this.#process.log()
  }

  /** Ends the process with `signal`, then starts it again on the same data root and waits until it answers. */
  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#end(signal)
    this.#process = this.#spawn()
    await this.#answers()
  }

  /** Ends it, by default at once, as a crash does; the data root stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#end(signal)
  }

  /** SIGSTOP and SIGCONT, say. */
  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal)
  }

  /** Ends it in order; the data root stays. Resolves with the exit code. */
  async terminate(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  /** Ends it with SIGTERM, removes its files, and resolves with the exit code. Safe to call twice. */
  async stop(): Promise<number | null> {
    try {
      return await this.#end('SIGTERM')
    } finally {
      this.#process.signal('SIGKILL')
      await this.#process.exit()
      rmSync(this.dir, { recursive: true, force: true })
    }
  }

  #spawn(): DaemonProcess {
    const { engine = 'simulated', args = [], wrap, env } = this.#options
    const line = [mainPath, '--host', this.host, '--data-root', this.dataRoot, '--engine', engine, ...args]
    const [command, commandArgs] = wrap?.(process.execPath, ...line) ?? [process.execPath, line]
    return new DaemonProcess('skepd', command, commandArgs, { ...process.env, ...env })
  }

  async #answers(): Promise<void> {
    const answered = async () => {
      if (!this.#process.running) return 'exited'
      return (await this.request('GET', '/_ping')).status === 200 && 'up'
    }
    // Several that start at once on a busy machine take long.
    await eventually('skepd to answer', answered, 60_000)
    this.#process.assertRunning()
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    this.#process.signal(signal)
    return this.#process.exit()
  }
}
