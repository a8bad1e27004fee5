import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect, readBackup, writeBackup, type BackupManifest } from '../../../src/node/backup/format.js'
import { readTar, tarEnd, tarHeader, tarPadding } from '../../../src/node/backup/tar.js'

const manifest: BackupManifest = {
  format: 'skep-backup',
  version: 1,
  createdAt: '2026-01-02T03:04:05Z',
  clusterId: 'cluster',
  nodeId: 'node',
  hostname: 'host',
  lockedBy: 'backupKey',
}
const files = [
  { name: 'node-state.json', content: Buffer.from('{}') },
  { name: 'certificates/swarm-node.key', content: Buffer.alloc(1536, 'k') },
  { name: 'raft/manager.db', content: Buffer.alloc(100_000, 'd') },
]

async function archive(): Promise<Buffer> {
  return collect(writeBackup(manifest, files, 0))
}

/** In pieces whose borders are nowhere in particular. */
async function* inPieces(bytes: Buffer, pieceBytes = 701): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield await Promise.resolve(bytes.subarray(at, at + pieceBytes))
  }
}

async function read(bytes: Buffer, take = collect) {
  const names: string[] = []
  const found = new Map<string, Buffer>()
  const first = await readBackup(
    inPieces(bytes),
    ({ lockedBy }) => names.push(lockedBy),
    async (name, content) => {
      names.push(name)
      found.set(name, await take(content))
    },
  )
  return { manifest: first, names, found }
}

test('a backup reads as it was written', async () => {
  const result = await read(await archive())
  assert.deepEqual(result.manifest, manifest)
  assert.deepEqual(result.names, ['backupKey', ...files.map(({ name }) => name)])
  for (const { name, content } of files) assert.ok(result.found.get(name)?.equals(content), name)
})

test('a backup that breaks off anywhere is refused', async () => {
  const whole = await archive()
  const needed = whole.length - tarEnd.length
  for (let lengthBytes = 0; lengthBytes < needed; lengthBytes += 511) {
    await assert.rejects(
      read(whole.subarray(0, lengthBytes)),
      /this backup cannot be used: /,
      `${lengthBytes}`,
    )
  }
})

test('a changed byte is found, whatever it is in', async () => {
  const whole = await archive()
  for (const text of ['{}', 'kkkk', 'dddd', '2026-01-02']) {
    const changed = Buffer.from(whole)
    const at = changed.indexOf(text)
    changed[at] = 0x21
    await assert.rejects(read(changed), /this backup cannot be used: its .* is (damaged|no JSON)/, text)
  }
})

test('what is no backup is refused, and what another version wrote', async () => {
  await assert.rejects(read(Buffer.from('hello')), /the archive breaks off/)
  await assert.rejects(read(Buffer.alloc(4096, 'x')), /this is no tar archive/)
  await assert.rejects(read(tarEnd), /it is none/)
  const content = Buffer.from('something')
  const other = [tarHeader('file', content.length, 0o600, 0), content, tarPadding(content.length), tarEnd]
  await assert.rejects(read(Buffer.concat(other)), /it is none/)
  const newer = await collect(writeBackup({ ...manifest, version: 2 as 1 }, files, 0))
  await assert.rejects(read(newer), /its backup.json is none that this version reads/)
})

test('a file that nobody reads is skipped', async () => {
  const names: string[] = []
  for await (const { name, sizeBytes } of readTar(inPieces(await archive())))
    names.push(`${name} ${sizeBytes}`)
  assert.deepEqual(names.slice(1, 4), [
    'node-state.json 2',
    'certificates/swarm-node.key 1536',
    'raft/manager.db 100000',
  ])
})
