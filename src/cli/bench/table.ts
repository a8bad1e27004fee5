import type { Measure } from './measures.js'
import type { Target } from './target.js'

const nameWidth = 44

export interface Row {
  readonly name: string
  readonly unit: string
  /** What the ratio of the first figure to the second is to be, at least. */
  readonly goal?: number
  /** One per target, in their order. */
  readonly figures: readonly number[]
}

/** Measures every target in turn, so that neither works while the other is measured. */
export async function measureAll(
  measures: readonly Measure[],
  targets: readonly Target[],
  onRow: (row: Row) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const { name, unit, goal, run } of measures) {
    const figures: number[] = []
    for (const target of targets) figures.push(await run(target))
    const row = { name, unit, figures, ...(goal !== undefined && { goal }) }
    rows.push(row)
    onRow(row)
  }
  return rows
}

export function header(targets: readonly Target[]): string {
  const ratio = targets.length === 2 ? ['ratio', 'goal'] : []
  return line('', ['unit', ...targets.map(({ name }) => name), ...ratio])
}

/** A line of the table; with two targets, how many times the second one's figure the first one's is. */
export function formatRow({ name, unit, goal, figures }: Row): string {
  const [first, second] = figures
  const ratio =
    first === undefined || second === undefined
      ? []
      : [`${(first / second).toFixed(1)}×`, goal === undefined ? '' : `${goal}×`]
  return line(name, [unit, ...figures.map((figure) => figure.toFixed(figure < 100 ? 1 : 0)), ...ratio])
}

/** A figure that is to stay below its goal. */
export interface GoalRow {
  readonly name: string
  readonly unit: string
  readonly figure: number
  readonly goal: number
}

export function goalHeader(): string {
  return line('', ['unit', 'skepd', 'goal', 'ratio'])
}

/** A line of the table, with how many times the figure goes into its goal. */
export function formatGoalRow({ name, unit, figure, goal }: GoalRow): string {
  return line(name, [
    unit,
    figure.toFixed(figure < 100 ? 1 : 0),
    String(goal),
    `${(goal / figure).toFixed(1)}×`,
  ])
}

function line(name: string, cells: readonly string[]): string {
  return `${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(12)).join('')}`
}
