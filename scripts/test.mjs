// Runs the compiled tests: `node scripts/test.mjs [--out DIR] [PATH-PART...]`.
// Without arguments all of them; a path part such as `unit/raft` picks files. The last line counts.
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const args = process.argv.slice(2)
const outAt = args.indexOf('--out')
const out = outAt === -1 ? 'dist' : args.splice(outAt, 2)[1]
const root = join(process.cwd(), out, 'test')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => join(root, file))
  .filter((file) => args.length === 0 || args.some((part) => relative(root, file).includes(part)))
  .sort()
if (files.length === 0) {
  console.error(`no test matches: ${args.join(' ')}`)
  process.exit(1)
}

const counts = { passed: 0, failed: 0, skipped: 0 }
const stream = run({ files, concurrency: 2 })
const count = (kind) => (event) => {
  // Suites and files are counted by what they hold.
  if (event.details?.type === 'suite' || (event.nesting === 0 && files.includes(event.name))) {
    if (kind === 'failed' && event.details?.error?.failureType !== 'subtestsFailed') counts.failed++
    return
  }
  if (event.skip !== undefined) counts.skipped++
  else counts[kind]++
}
stream.on('test:pass', count('passed'))
stream.on('test:fail', count('failed'))
stream.compose(new spec()).pipe(process.stdout)
process.exitCode = await new Promise((resolve) => {
  stream.once('end', () => resolve(counts.failed === 0 ? 0 : 1))
})
process.on('exit', () => {
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
})
