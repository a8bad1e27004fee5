import { table } from '../table.js'

/** What `/skep/v1/services/{id}/history` answers. */
export interface History {
  readonly serviceName: string
  readonly revisions: readonly {
    readonly revision: number
    readonly current: boolean
    readonly setAt: string
    readonly cause?: string
    /** Null for the oldest one that is kept. */
    readonly changes: readonly Change[] | null
  }[]
}

interface Change {
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

const longestValue = 60

/** A history for people: a line for each change. */
export function historyText({ revisions }: History): string {
  const rows = revisions.flatMap(({ revision, current, setAt, cause, changes }) => {
    const [first = '', ...more] = changes === null ? [''] : changes.map(changeText)
    const number = `${revision}${current ? ' (now)' : ''}`
    return [[number, setAt, cause ?? '', first], ...more.map((text) => ['', '', '', text])]
  })
  return table([['REVISION', 'SINCE', 'CAUSE', 'CHANGES'], ...rows]).join('\n')
}

function changeText({ path, before, after }: Change): string {
  if (before === undefined) return `${path}: + ${valueText(after)}`
  if (after === undefined) return `${path}: - ${valueText(before)}`
  return `${path}: ${valueText(before)} -> ${valueText(after)}`
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length <= longestValue ? text : `${text.slice(0, longestValue)}…`
}
