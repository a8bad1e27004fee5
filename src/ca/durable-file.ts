import { open, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Replaces a file so that a crash at any moment leaves the old content or the new, never a mixture, and the new
 * one for good once this resolves.
 */
export async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.new`)
  await writeSynced(temporary, content, mode)
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/** Writes and fsyncs; not atomic. */
export async function writeSynced(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, 'w', mode)
  try {
    // The mode above counts only for a file that was not there.
    await file.chmod(mode)
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes renames in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** The file's text, or undefined when it does not exist. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
