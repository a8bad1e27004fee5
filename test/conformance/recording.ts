import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Dockerd } from '../lib/dockerd.js'
import { runScript, type Exchange } from './runner.js'
import type { Step } from './script.js'
import { containerScript } from './steps/containers.js'
import { script } from './steps/index.js'

/** What dockerd answered to each step of the script, normalised. */
export interface Recording {
  /** Such as `20.10.24+dfsg1`. */
  readonly engine: string
  readonly apiVersion: string
  readonly exchanges: readonly Exchange[]
}

const scripts = { api: script, containers: containerScript }

/** The recorded scripts: `api` runs on any engine, `containers` only on a real one. */
export type ScriptName = keyof typeof scripts

export function stepsOf(name: ScriptName): readonly Step[] {
  return scripts[name]
}

/** Tests run from the top of the repository; the compiler does not copy JSON. */
function pathOf(name: ScriptName): string {
  return join(process.cwd(), `test/conformance/recordings/${name}.json`)
}

export function readRecording(name: ScriptName): Recording {
  return JSON.parse(readFileSync(pathOf(name), 'utf8')) as Recording
}

export function writeRecording(name: ScriptName, recording: Recording): void {
  writeFileSync(pathOf(name), `${JSON.stringify(recording, null, 1)}\n`)
}

/** Runs a script against a private dockerd. Needs `engine`; takes about half a minute. */
export async function recordDockerd(name: ScriptName): Promise<Recording> {
  const dockerd = await Dockerd.start()
  try {
    await dockerd.importBusybox()
    const { Version, ApiVersion } = (await dockerd.request('GET', '/version')).json() as {
      Version: string
      ApiVersion: string
    }
    const target = {
      listenAddr: '127.0.0.1:2377',
      folders: new Map([[dockerd.dir, 'engine folder']]),
      request: (...args: Parameters<Dockerd['request']>) => dockerd.request(...args),
    }
    return { engine: Version, apiVersion: ApiVersion, exchanges: await runScript(target, stepsOf(name)) }
  } finally {
    await dockerd.stop()
  }
}
