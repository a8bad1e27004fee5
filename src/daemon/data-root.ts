import Database from 'better-sqlite3'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OptionError } from './options.js'

/**
 * Takes the data root for this process alone. The lock is SQLite's on a file of its own: the kernel drops
 * it when the process ends, however it ends.
 * @returns a function that gives the lock back.
 * @throws {OptionError} when another daemon has it, or the directory cannot be written.
 */
export function lockDataRoot(dataRoot: string): () => void {
  const pidPath = join(dataRoot, 'skepd.pid')
  try {
    mkdirSync(dataRoot, { recursive: true, mode: 0o711 })
  } catch (error) {
    throw new OptionError(`cannot use the data root ${dataRoot}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  let lock: Database.Database | undefined
  try {
    lock = new Database(join(dataRoot, 'skepd.lock'), { timeout: 0 })
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock?.close()
    const isTaken = (error as { code?: string }).code === 'SQLITE_BUSY'
    if (!isTaken) throw new OptionError(`cannot use the data root ${dataRoot}: ${(error as Error).message}`)
    throw new OptionError(`another skepd (pid ${readPid(pidPath)}) already uses the data root ${dataRoot}`)
  }
  writeFileSync(pidPath, `${process.pid}\n`)
  const held = lock
  return () => {
    rmSync(pidPath, { force: true })
    held.close()
  }
}

/**
 * Writes the process ID to a file of the user's choice.
 * @returns a function that removes it.
 * @throws {OptionError} when a living process is named there. Behaviour: moby pkg/pidfile.
 */
export function writePidfile(path: string): () => void {
  const old = Number(readPid(path))
  if (Number.isInteger(old) && old > 0 && old !== process.pid && isAlive(old)) {
    throw new OptionError(
      `pid file found, ensure skepd is not running or delete ${path} (process ${old} is alive)`,
    )
  }
  try {
    writeFileSync(path, String(process.pid))
  } catch (error) {
    throw new OptionError(`cannot write the pid file ${path}: ${(error as Error).message}`, { cause: error })
  }
  return () => rmSync(path, { force: true })
}

function readPid(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
