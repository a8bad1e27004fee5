import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Dockerd } from '../lib/dockerd.js'
import { runScript, type Exchange } from './runner.js'
import { script } from './steps/index.js'

/** What dockerd answered to each step of the script, normalised. */
export interface Recording {
  /** Such as `20.10.24+dfsg1`. */
  readonly engine: string
  readonly apiVersion: string
  readonly exchanges: readonly Exchange[]
}

/** Tests run from the top of the repository; the compiler does not copy JSON. */
const path = join(process.cwd(), 'test/conformance/recordings/dockerd.json')

export function readRecording(): Recording {
  return JSON.parse(readFileSync(path, 'utf8')) as Recording
}

export function writeRecording(recording: Recording): void {
  writeFileSync(path, `${JSON.stringify(recording, null, 1)}\n`)
}

/** Runs the script against a private dockerd. Needs `engine`; takes about half a minute. */
export async function recordDockerd(): Promise<Recording> {
  const dockerd = await Dockerd.start()
  try {
    await dockerd.importBusybox()
    const { Version, ApiVersion } = (await dockerd.request('GET', '/version')).json() as {
      Version: string
      ApiVersion: string
    }
    const target = {
      listenAddr: '127.0.0.1:2377',
      request: (...args: Parameters<Dockerd['request']>) => dockerd.request(...args),
    }
    return { engine: Version, apiVersion: ApiVersion, exchanges: await runScript(target, script) }
  } finally {
    await dockerd.stop()
  }
}
