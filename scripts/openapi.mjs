// Writes openapi/openapi.json from the routes: `node scripts/openapi.mjs [--out DIR] [--check]`.
// --out: where the compiled sources are (dist). --check: fails when the file is not what it would be.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const args = process.argv.slice(2)
const outAt = args.indexOf('--out')
const out = outAt === -1 ? 'dist' : args.splice(outAt, 2)[1]
const check = args.includes('--check')
const path = 'openapi/openapi.json'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
const { createApp } = await import(pathToFileURL(join(process.cwd(), out, 'src/app.js')))

// The document says nothing of what is behind the routes: here there is nothing.
const app = createApp({}, { swarm: { localManager: () => undefined }, engine: {}, daemon: { version } })
const { statusCode, rawPayload: document } = await app.inject('/openapi.json')
if (statusCode !== 200) throw new Error(document.toString())
await app.close()

if (!check) {
  mkdirSync('openapi', { recursive: true })
  writeFileSync(path, document)
  console.log(`${path}: ${document.length} bytes`)
} else if (document.equals(read(path))) {
  console.log(`${path} is up to date`)
} else {
  console.error(`${path} is stale: run npm run openapi`)
  process.exit(1)
}

function read(file) {
  try {
    return readFileSync(file)
  } catch {
    return Buffer.alloc(0)
  }
}
