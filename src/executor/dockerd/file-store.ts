import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../../env/env.js'
import { errorText } from '../../model/errors.js'
import type { FileMount } from '../container-config.js'
import { TaskError } from '../interface.js'
import type { PlannedFile } from '../secret-files.js'

/** `f_type` of a tmpfs. */
const tmpfsMagic = 0x01021994

/**
 * The secrets and configs of tasks as files of the host, which containers get bind-mounted read-only. The
 * engine has no API that makes such files outside its own swarm mode.
 *
 * They live in memory (tmpfs) wherever the host has one, below a directory that only this user may enter;
 * the container sees the file itself, with the owner and mode that the reference asks for.
 */
export class FileStore {
  readonly #env: Env
  readonly #dataRoot: string
  readonly #candidates: readonly string[]
  #root: Promise<string> | undefined

  /** @param dataRoot tells the daemons of one host apart; it holds the files where there is no tmpfs. */
  constructor(env: Env, dataRoot: string, candidates: readonly string[] = ['/dev/shm', '/run']) {
    this.#env = env
    this.#dataRoot = dataRoot
    this.#candidates = candidates
  }

  /**
   * Writes the files of a task; those of an earlier call are replaced.
   * @throws {TaskError} where owner or mode cannot be set, as without root.
   */
  async write(taskId: string, files: readonly PlannedFile[]): Promise<readonly FileMount[]> {
    if (files.length === 0) return []
    const folder = join(await this.#open(), taskId)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const mounts: FileMount[] = []
    for (const [index, file] of files.entries()) {
      const source = join(folder, String(index))
      // Renamed into place: a container that is being created at this moment sees it whole.
      const temporary = `${source}.${this.#env.randomBytes(6).toString('hex')}`
      try {
        await writeFile(temporary, file.data, { mode: 0o600 })
        if (file.uid !== process.getuid?.() || file.gid !== process.getgid?.()) {
          await chown(temporary, file.uid, file.gid)
        }
        await chmod(temporary, file.mode)
        await rename(temporary, source)
      } catch (error) {
        throw new TaskError(
          `cannot write the file for ${file.kind} target ${file.target}: ${errorText(error)}`,
          {
            cause: error,
          },
        )
      }
      mounts.push({ source, target: file.target })
    }
    return mounts
  }

  async remove(taskId: string): Promise<void> {
    await rm(join(await this.#open(), taskId), { recursive: true, force: true })
  }

  /** Removes the files of all tasks but these: what an earlier run of the daemon left. */
  async keepOnly(taskIds: ReadonlySet<string>): Promise<void> {
    const root = await this.#open()
    for (const name of (await readdir(root)).sort()) {
      if (!taskIds.has(name)) await rm(join(root, name), { recursive: true, force: true })
    }
  }

  #open(): Promise<string> {
    this.#root ??= this.#choose().catch((error: unknown) => {
      this.#root = undefined
      throw error
    })
    return this.#root
  }

  async #choose(): Promise<string> {
    const name = `skep-${createHash('sha256').update(this.#dataRoot).digest('hex').slice(0, 16)}`
    for (const candidate of this.#candidates) {
      try {
        if ((await statfs(candidate)).type !== tmpfsMagic) continue
        return await privateFolder(join(candidate, name))
      } catch (error) {
        this.#env.log.debug({ path: candidate, err: errorText(error) }, 'no place for secrets')
      }
    }
    const root = join(this.#dataRoot, 'task-files')
    this.#env.log.warn({ path: root }, 'no tmpfs for secrets: tasks’ secrets and configs are written to disk')
    return privateFolder(root)
  }
}

async function privateFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  // It may be there already, with another mode.
  await chmod(path, 0o700)
  return path
}
