import type { History } from './history.js'
import type { Round } from './lab.js'

/** What users may expect of three managers. */
const writableP50Ms = 1500
const writableP99Ms = 3000
const tasksElsewhereMs = 6000

/** Nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
}

export function describeRound(round: Round): string {
  const { number, fault, writableMs, writableEverywhereMs, answered, refused, note } = round
  const writable = `writable ${ms(writableMs)}, everywhere ${ms(writableEverywhereMs)}`
  const tasks = round.tasksElsewhereMs === undefined ? '' : `, tasks elsewhere ${ms(round.tasksElsewhereMs)}`
  const calls = `${answered} calls answered, ${refused} not`
  return `${number}. ${fault.name}: ${writable}${tasks}; ${calls}${note === undefined ? '' : `; ${note}`}`
}

/** The distributions of all rounds, and what calls were refused with. */
export function summary(rounds: readonly Round[], history: History): string {
  const lost = rounds.filter(({ fault }) => fault.losesLeader)
  const kept = rounds.filter(({ fault }) => !fault.losesLeader)
  const tasks = (of: readonly Round[]) => of.flatMap((round) => round.tasksElsewhereMs ?? [])
  return [
    line(
      'writable again, leader lost',
      lost.map(({ writableMs }) => writableMs),
    ),
    line(
      '  on every manager that lives',
      lost.map((round) => round.writableEverywhereMs),
    ),
    line(
      'writable again, leader kept',
      kept.map(({ writableMs }) => writableMs),
    ),
    line('tasks of a dead worker elsewhere, leader kept', tasks(kept)),
    line('  leader lost at the same time', tasks(lost)),
    `${history.createdCount} creations were acknowledged; refusals:`,
    ...[...history.refusals].map(([text, count]) => `  ${count} x ${text.trim()}`),
  ].join('\n')
}

/** Whether the times are what users may expect. Only on a machine that has nothing else to do. */
export function isOnTarget(rounds: readonly Round[]): boolean {
  const lost = rounds.filter(({ fault }) => fault.losesLeader).map(({ writableMs }) => writableMs)
  const tasks = rounds.flatMap((round) => round.tasksElsewhereMs ?? [])
  return (
    percentile(lost, 0.5) <= writableP50Ms &&
    percentile(lost, 0.99) <= writableP99Ms &&
    Math.max(0, ...tasks) <= tasksElsewhereMs
  )
}

function line(name: string, values: readonly number[]): string {
  if (values.length === 0) return `${name}: not measured`
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => percentile(values, share))
  const all = values.toSorted((a, b) => a - b).map((value) => value.toFixed(0))
  return `${name}: p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(Math.max(...values))} (${all.join(' ')})`
}

function ms(value = 0): string {
  return `${value.toFixed(0)} ms`
}
