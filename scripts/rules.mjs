// Writes the tests of each rule into docs/rules.md: `node scripts/rules.mjs [--check]`.
// A test belongs to the rules whose numbers its name begins with: `6.12 …`, or `2.7, 3.9 …`. Fails where a
// rule has neither a test nor a difference from Docker, or a test has a number that is no rule. --check: fails,
// too, when the file is not what it would be.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const page = 'docs/rules.md'
const before = readFileSync(page, 'utf8')
const tests = new Map()
const problems = []

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts') || file.endsWith('scenarios.ts'))
  .sort()
for (const file of files) {
  const source = readFileSync(file, 'utf8')
  const titles = source.matchAll(/(?:\btest\(|\bname:)\s*(['"`])(\d+\.\d+(?:, \d+\.\d+)*) (.*?)\1,/gs)
  for (const [, , numbers, title] of titles) {
    for (const number of numbers.split(', '))
      tests.set(number, [...(tests.get(number) ?? []), { file, title }])
  }
}

const rules = new Set()
const after = before.replace(
  /^\| (\d+\.\d+) \| (.*?) \| (.*?) \| .*?\|$/gm,
  (_row, number, rule, difference) => {
    if (rules.has(number)) problems.push(`rule ${number} is there twice`)
    rules.add(number)
    const found = tests.get(number) ?? []
    if (found.length === 0 && difference.trim() === '')
      problems.push(`rule ${number} has no test, and is no difference`)
    const byFile = new Map()
    for (const { file, title } of found) byFile.set(file, [...(byFile.get(file) ?? []), escaped(title)])
    const cell = [...byFile].map(
      ([file, titles]) => `[${file.slice('test/'.length)}](../${file}): ${titles.join('; ')}`,
    )
    return `| ${number} | ${rule} | ${difference} | ${cell.join('<br>')} |`
  },
)
for (const number of tests.keys())
  if (!rules.has(number)) problems.push(`no rule ${number}, which tests name`)
if (process.argv.includes('--check') && after !== before)
  problems.push(`${page} is stale: run node scripts/rules.mjs`)
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
if (!process.argv.includes('--check')) writeFileSync(page, after)

/** A title as text of a cell. */
function escaped(title) {
  return title
    .replaceAll('\\', '')
    .replaceAll('|', '\\|')
    .replaceAll(/\$\{.*?\}/g, '…')
    .replaceAll('<', '&lt;')
}
