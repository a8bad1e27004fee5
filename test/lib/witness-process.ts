import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DaemonProcess } from './daemon-process.js'
import { eventually } from './eventually.js'

/** The built `skep` beside these compiled tests. */
const mainPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

interface WitnessEvent {
  readonly event: string
  readonly nodeId: string
  readonly memoryBytes: number
}

/** A real `skep witness` with a data root of its own. */
export class WitnessProcess {
  readonly dataRoot = mkdtempSync(join(tmpdir(), 'skep-witness-'))
  readonly #args: readonly string[]
  #process: DaemonProcess

  private constructor(args: readonly string[]) {
    this.#args = args
    this.#process = this.#spawn(args)
  }

  /** Starts one that joins, and waits until some manager has its session. */
  static async join(
    address: string,
    { token, manager }: { readonly token: string; readonly manager: string },
  ): Promise<WitnessProcess> {
    const args = ['--listen-addr', address, '--advertise-addr', address, '--hostname', 'nas']
    const witness = new WitnessProcess([...args, '--join-token', token, '--manager', manager])
    try {
      await witness.hasSession()
      return witness
    } catch (error) {
      await witness.dispose()
      throw error
    }
  }

  get pid(): number {
    return this.#process.pid
  }

  get nodeId(): string {
    return this.#events()[0]?.nodeId ?? ''
  }

  /** Resident memory, as it told last. */
  get memoryBytes(): number {
    return this.#events().at(-1)?.memoryBytes ?? 0
  }

  log(): string {
    return this.#process.log()
  }

  hasSession(): Promise<true> {
    return eventually(
      'the witness to have a session',
      () => {
        this.#process.assertRunning()
        return this.#events().some(({ event }) => event === 'session') || undefined
      },
      60_000,
    )
  }

  /** A crash; the data root stays. */
  async kill(): Promise<void> {
    this.#process.signal('SIGKILL')
    await this.#process.exit()
  }

  /** Ends it in order. Resolves with the exit code. */
  terminate(): Promise<number | null> {
    this.#process.signal('SIGTERM')
    return this.#process.exit()
  }

  /** Resolves with the exit code when it ends by itself. */
  exit(): Promise<number | null> {
    return this.#process.exit()
  }

  /** Starts it again, as a service manager does: without token. */
  startAgain(): void {
    this.#process = this.#spawn(this.#args.slice(0, this.#args.indexOf('--join-token')))
  }

  async dispose(): Promise<void> {
    this.#process.signal('SIGKILL')
    await this.#process.exit()
    rmSync(this.dataRoot, { recursive: true, force: true })
  }

  #spawn(args: readonly string[]): DaemonProcess {
    const line = [mainPath, 'witness', '--data-root', this.dataRoot, '--format', 'json', ...args]
    return new DaemonProcess('skep witness', process.execPath, line)
  }

  #events(): WitnessEvent[] {
    const lines = this.#process.log().split('\n').slice(0, -1)
    return lines.filter((line) => line.startsWith('{"event"')).map((line) => JSON.parse(line) as WitnessEvent)
  }
}
