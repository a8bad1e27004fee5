import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'

/**
 * The layers of ARCHITECTURE.md. A folder imports only from lower layers and from itself; what it may
 * import of its own layer, if anything, is named.
 */
const layers: readonly Readonly<Record<string, readonly string[]>>[] = [
  { env: [] },
  { model: [], db: [] },
  { wire: [], raft: [], store: [], ca: [], engine: [] },
  { control: [], events: [], orchestrator: [], allocator: [], scheduler: [], dispatcher: [], executor: [] },
  { agent: [], manager: [] },
  { node: [] },
  { routes: [] },
  { cli: [], 'app.ts': [] },
  { daemon: [] },
  { 'main.ts': [] },
]

/** Lower layers that a folder must not see all the same. */
const forbidden: Readonly<Record<string, readonly string[]>> = {
  agent: ['store', 'raft', 'control', 'dispatcher', 'orchestrator', 'allocator', 'scheduler'],
  model: [],
  raft: ['model'],
  executor: ['store', 'raft', 'ca', 'wire'],
}

const root = findRoot(dirname(fileURLToPath(import.meta.url)))
const src = join(root, 'src')

function findRoot(start: string): string {
  let at = start
  while (!readdirSync(at).includes('package.json')) at = dirname(at)
  return at
}

/** The unit of the layering that a file belongs to: its top folder, or itself. */
function unitOf(file: string): string {
  return relative(src, file).split('/')[0] ?? ''
}

function imports(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, path]) =>
    resolve(dirname(file), path ?? ''),
  )
}

test('a folder imports only from lower layers', () => {
  const layerOf = new Map(layers.flatMap((units, layer) => Object.keys(units).map((unit) => [unit, layer])))
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(src, file))
  const wrong: string[] = []
  for (const file of files) {
    const unit = unitOf(file)
    const layer = layerOf.get(unit)
    if (layer === undefined) {
      wrong.push(`${relative(root, file)}: src/${unit} stands in no layer`)
      continue
    }
    for (const target of imports(file)) {
      const targetUnit = unitOf(target.replace(/\.js$/, '.ts'))
      const targetLayer = layerOf.get(targetUnit)
      const allowed =
        targetUnit === unit ||
        (targetLayer !== undefined && targetLayer < layer && !(forbidden[unit] ?? []).includes(targetUnit)) ||
        (layers[layer]?.[unit] ?? []).includes(targetUnit)
      if (!allowed) wrong.push(`${relative(root, file)} imports src/${targetUnit}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(files.length > 20, 'the sources were found')
})
