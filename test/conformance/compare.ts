import type { Exchange } from './runner.js'

/** One place where two answers to the same call differ. */
export interface Difference {
  readonly step: string
  /** Such as `status`, `contentType`, `body.message`, `body[0].Spec.Labels`. */
  readonly at: string
  /** As JSON; `absent` where there is no such member. */
  readonly docker: string
  readonly skep: string
}

const ABSENT = Symbol('absent')

/** All differences between two runs of the same script. */
export function compareRuns(docker: readonly Exchange[], skep: readonly Exchange[]): Difference[] {
  const byName = new Map(skep.map((exchange) => [exchange.name, exchange]))
  return docker.flatMap(({ name, answer }) => {
    const other = byName.get(name)
    const differences: Difference[] = []
    const note = (at: string, a: unknown, b: unknown) => {
      differences.push({ step: name, at, docker: show(a), skep: show(b) })
    }
    if (other === undefined) note('step', 'recorded', ABSENT)
    else if (other.failure !== undefined) note('step', 'answered', other.failure)
    else compareValues('', answer, other.answer, note)
    return differences
  })
}

function compareValues(
  at: string,
  docker: unknown,
  skep: unknown,
  note: (at: string, docker: unknown, skep: unknown) => void,
): void {
  if (Array.isArray(docker) && Array.isArray(skep)) {
    if (docker.length !== skep.length) {
      note(at, docker, skep)
      return
    }
    docker.forEach((item, index) => compareValues(`${at}[${index}]`, item, skep[index], note))
  } else if (isObject(docker) && isObject(skep)) {
    for (const key of [...new Set([...Object.keys(docker), ...Object.keys(skep)])].sort()) {
      const path = at === '' ? key : `${at}.${key}`
      compareValues(path, key in docker ? docker[key] : ABSENT, key in skep ? skep[key] : ABSENT, note)
    }
  } else if (docker !== skep) {
    note(at, docker, skep)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return value === ABSENT ? 'absent' : JSON.stringify(value)
}

export function formatDifference({ step, at, docker, skep }: Difference): string {
  return `${step}: ${at}\n    docker: ${docker}\n    skep:   ${skep}`
}
