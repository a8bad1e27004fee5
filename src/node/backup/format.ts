import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { SwarmError, errorText } from '../../model/errors.js'
import { readTar, tarEnd, tarHeader, tarPadding } from './tar.js'

/**
 * A backup is a tar archive: unpacked into `DATA_ROOT/swarm` of a stopped daemon it is a manager's data. Before
 * the files stands what it is, and after them the SHA-256 of each, without which it is not whole.
 */

const ManifestSchema = Type.Object({
  format: Type.Literal('skep-backup'),
  version: Type.Literal(1),
  /** RFC 3339. */
  createdAt: Type.String(),
  clusterId: Type.String(),
  nodeId: Type.String(),
  hostname: Type.String(),
  /** Which key opens it: that of the swarm's autolock, or one made for the backup. */
  lockedBy: Type.Union([Type.Literal('unlockKey'), Type.Literal('backupKey')]),
})

export type BackupManifest = Readonly<Static<typeof ManifestSchema>>

const manifestName = 'backup.json'
const sumsName = 'SHA256SUMS'
/** Beyond this a small file is something else. */
const maxSmallBytes = 1024 * 1024

/** Part of a backup: its path below `swarm/`, and its content or where that is. */
export interface BackupFile {
  readonly name: string
  readonly content: Buffer | { readonly path: string }
}

/** The archive, piece by piece. */
export async function* writeBackup(
  manifest: BackupManifest,
  files: readonly BackupFile[],
  nowMs: number,
): AsyncGenerator<Buffer> {
  const sums: string[] = []
  const header = Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`)
  for (const file of [{ name: manifestName, content: header }, ...files]) {
    const hash = createHash('sha256')
    yield* writeFile(file, nowMs, hash)
    sums.push(`${hash.digest('hex')}  ${file.name}\n`)
  }
  yield* writeFile({ name: sumsName, content: Buffer.from(sums.join('')) }, nowMs, createHash('sha256'))
  yield tarEnd
}

async function* writeFile({ name, content }: BackupFile, nowMs: number, hash: Hash): AsyncGenerator<Buffer> {
  const isInMemory = Buffer.isBuffer(content)
  const sizeBytes = isInMemory ? content.length : (await stat(content.path)).size
  yield tarHeader(name, sizeBytes, 0o600, nowMs)
  const pieces = isInMemory ? [content] : (createReadStream(content.path) as AsyncIterable<Buffer>)
  for await (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  yield tarPadding(sizeBytes)
}

/** Takes one file of a backup; reads its content to the end. */
type TakeFile = (name: string, content: AsyncIterable<Buffer>) => Promise<void>

/**
 * Reads a backup and gives its files, whose names the caller checks, to `take` one after another.
 * @param onManifest told what the backup is before the first file.
 * @throws {SwarmError} InvalidArgument when it is no backup, or not whole; what `onManifest` and `take` throw.
 */
export async function readBackup(
  archive: AsyncIterable<Uint8Array>,
  onManifest: (manifest: BackupManifest) => void,
  take: TakeFile,
): Promise<BackupManifest> {
  let manifest: BackupManifest | undefined
  const sums = new Map<string, string>()
  const entries = readTar(archive)
  for (;;) {
    const next = await broken(entries.next())
    if (next.done === true) break
    const { name, sizeBytes, content } = next.value
    if (name === sumsName) {
      checkSums(sums, (await readSmall(name, sizeBytes, content)).toString())
      if (manifest !== undefined) return manifest
      break
    }
    const hash = createHash('sha256')
    if (manifest === undefined) {
      if (name !== manifestName) break
      const bytes = await readSmall(name, sizeBytes, content)
      hash.update(bytes)
      manifest = parseManifest(bytes)
      onManifest(manifest)
    } else {
      await take(name, hashed(content, hash))
    }
    sums.set(name, hash.digest('hex'))
  }
  throw invalid(manifest === undefined ? 'it is none' : `its ${sumsName} is missing: it is not whole`)
}

/** What the archive itself is to blame for. */
async function broken<T>(step: Promise<T>): Promise<T> {
  try {
    return await step
  } catch (error) {
    throw invalid(errorText(error), error)
  }
}

async function* hashed(content: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  const pieces = content[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await broken(pieces.next())
    if (done === true) return
    hash.update(value)
    yield value
  }
}

async function readSmall(name: string, sizeBytes: number, content: AsyncIterable<Buffer>): Promise<Buffer> {
  if (sizeBytes > maxSmallBytes) throw invalid(`its ${name} is too long`)
  return collect(hashed(content, createHash('sha256')))
}

export async function collect(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of content) pieces.push(piece)
  return Buffer.concat(pieces)
}

function parseManifest(bytes: Buffer): BackupManifest {
  let manifest: unknown
  try {
    manifest = JSON.parse(bytes.toString())
  } catch (error) {
    throw invalid(`its ${manifestName} is no JSON`, error)
  }
  if (Value.Check(ManifestSchema, manifest)) return manifest
  throw invalid(`its ${manifestName} is none that this version reads`)
}

function checkSums(actual: ReadonlyMap<string, string>, text: string): void {
  const wanted = new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [string, string] => [line.slice(66), line.slice(0, 64)]),
  )
  for (const name of new Set([...actual.keys(), ...wanted.keys()])) {
    if (actual.get(name) !== wanted.get(name)) throw invalid(`its ${name} is damaged`)
  }
}

function invalid(reason: string, cause?: unknown): SwarmError {
  return new SwarmError('InvalidArgument', `this backup cannot be used: ${reason}`, { cause })
}
