import { SwarmError } from './errors.js'
import { parseDurationMs } from './duration.js'

/** How a simulated container behaves. All times count from the step's (or the container's) start. */
export interface SimBehaviour {
  readonly pull: { readonly delayMs: number } | 'fail'
  readonly start: { readonly delayMs: number } | 'fail'
  /** Absent: runs until it is stopped. */
  readonly exit?: { readonly code: number; readonly afterMs: number }
  /** In the order of time. */
  readonly health: readonly { readonly status: 'healthy' | 'unhealthy'; readonly afterMs: number }[]
  /** How long the process takes to end after the stop signal. */
  readonly stopMs: number
  readonly log?: { readonly line: string; readonly intervalMs: number }
}

export const defaultSimBehaviour: SimBehaviour = {
  pull: { delayMs: 0 },
  start: { delayMs: 50 },
  health: [{ status: 'healthy', afterMs: 0 }],
  stopMs: 0,
}

const prefix = 'skep.sim.'

type Reader = (value: string) => Partial<SimBehaviour> | undefined

/** Each known label: what it wants, for the error text, and how to read it. */
const readers: Readonly<Record<string, { readonly wants: string; readonly read: Reader }>> = {
  'skep.sim.exit': {
    wants: 'CODE@DURATION, such as 1@500ms',
    read(value) {
      const match = /^(\d{1,3})@(.+)$/.exec(value)
      const code = Number(match?.[1])
      const afterMs = readDurationMs(match?.[2] ?? '')
      return code > 255 || afterMs === undefined ? undefined : { exit: { code, afterMs } }
    },
  },
  'skep.sim.health': {
    wants: 'healthy@DURATION or unhealthy@DURATION, comma-separated in the order of time',
    read(value) {
      const health: { status: 'healthy' | 'unhealthy'; afterMs: number }[] = []
      for (const part of value.split(',')) {
        const match = /^(healthy|unhealthy)@(.+)$/.exec(part.trim())
        const afterMs = readDurationMs(match?.[2] ?? '')
        if (match === null || afterMs === undefined || afterMs < (health.at(-1)?.afterMs ?? 0))
          return undefined
        health.push({ status: match[1] === 'healthy' ? 'healthy' : 'unhealthy', afterMs })
      }
      return { health }
    },
  },
  'skep.sim.log': {
    wants: 'LINE@INTERVAL, such as hello@1s, with an interval of at least 1ms',
    read(value) {
      const at = value.lastIndexOf('@')
      const intervalMs = readDurationMs(value.slice(at + 1))
      if (at < 0 || intervalMs === undefined || intervalMs < 1) return undefined
      return { log: { line: value.slice(0, at), intervalMs } }
    },
  },
  'skep.sim.pull': {
    wants: 'a duration such as 1500ms, or fail',
    read(value) {
      const pull = durationOrFail(value)
      return pull === undefined ? undefined : { pull }
    },
  },
  'skep.sim.start': {
    wants: 'a duration such as 50ms, or fail',
    read(value) {
      const start = durationOrFail(value)
      return start === undefined ? undefined : { start }
    },
  },
  'skep.sim.stop': {
    wants: 'a duration such as 2s',
    read(value) {
      const stopMs = readDurationMs(value)
      return stopMs === undefined ? undefined : { stopMs }
    },
  },
}

function durationOrFail(value: string): { delayMs: number } | 'fail' | undefined {
  if (value === 'fail') return 'fail'
  const delayMs = readDurationMs(value)
  return delayMs === undefined ? undefined : { delayMs }
}

function readDurationMs(value: string): number | undefined {
  try {
    const ms = parseDurationMs(value)
    return ms < 0 ? undefined : ms
  } catch {
    // What the label wants is said by the caller, in more words than Go has.
    return undefined
  }
}

/** The container labels that steer the simulated engine. */
export const simLabelNames: readonly string[] = Object.keys(readers)

/**
 * Reads the `skep.sim.*` labels of a container; what no label says is left out. Other labels are ignored.
 * @throws {SwarmError} InvalidArgument for an unknown `skep.sim.*` label or a value that cannot be read.
 */
export function parseSimLabels(labels: Readonly<Record<string, string>>): Partial<SimBehaviour> {
  let behaviour: Partial<SimBehaviour> = {}
  for (const [name, value] of Object.entries(labels)) {
    if (!name.startsWith(prefix)) continue
    const reader = readers[name]
    if (reader === undefined) {
      throw new SwarmError(
        'InvalidArgument',
        `unknown label ${name}: the simulated engine knows ${simLabelNames.join(', ')}`,
      )
    }
    const read = reader.read(value)
    if (read === undefined) {
      throw new SwarmError('InvalidArgument', `invalid label ${name}=${value}: want ${reader.wants}`)
    }
    behaviour = { ...behaviour, ...read }
  }
  return behaviour
}
