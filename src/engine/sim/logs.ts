import type { Env } from '../../env/env.js'
import type { LogMessage, LogOptions } from '../../model/logs.js'
import type { SimContainer } from './container.js'

interface LineTime {
  readonly ms: number
}

/**
 * The log of a simulated container. Nothing is stored: each line's time follows from the label's interval
 * and the times of the runs. All lines go to stdout.
 */
export async function* simLogs(
  env: Env,
  container: SimContainer,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<LogMessage, void, undefined> {
  const { log } = container.make.behaviour
  if (log === undefined || !options.stdout) {
    if (options.follow) await whileRunning(env, container, signal)
    return
  }
  const data = Buffer.from(`${log.line}\n`)
  const message = ({ ms }: LineTime): LogMessage => ({
    stream: 'stdout',
    timestampNs: toNs(ms),
    attrs: {},
    data,
  })
  let untilMs = env.nowMs()
  const past = linesBetween(container, log.intervalMs, options.sinceMs ?? -Infinity, untilMs)
  const skip = options.tail === undefined ? 0 : Math.max(0, past.count - options.tail)
  for (let index = skip; index < past.count; index++) {
    if (signal.aborted) return
    yield message(past.at(index))
    // A long log must not keep the process from everything else.
    if (index % 1000 === 999) await new Promise((resolve) => setImmediate(resolve))
  }
  while (options.follow && !signal.aborted) {
    const running = container.state === 'running'
    const fromMs = untilMs
    untilMs = env.nowMs()
    const fresh = linesBetween(container, log.intervalMs, fromMs, untilMs, { exclusive: true })
    for (let index = 0; index < fresh.count; index++) yield message(fresh.at(index))
    if (!running) return
    const startMs = container.startedAtMs ?? untilMs
    const sinceLineMs = (untilMs - startMs) % log.intervalMs
    await changeOrTime(env, container, log.intervalMs - sinceLineMs, signal)
  }
}

/** Whole milliseconds apart from the rest: as one number, nanoseconds would be rounded. */
function toNs(ms: number): bigint {
  const whole = Math.floor(ms)
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6))
}

/** The lines in [fromMs, toMs], or after `fromMs` when `exclusive`, by index. */
function linesBetween(
  container: SimContainer,
  intervalMs: number,
  fromMs: number,
  toMs: number,
  { exclusive = false } = {},
): { count: number; at(index: number): LineTime } {
  const spans: { startMs: number; first: number; count: number }[] = []
  for (const { startMs, endMs } of container.runs) {
    const last = Math.floor((Math.min(toMs, endMs ?? Infinity) - startMs) / intervalMs)
    const wanted = (fromMs - startMs) / intervalMs
    const first = Math.max(1, exclusive ? Math.floor(wanted) + 1 : Math.ceil(wanted))
    if (last >= first) spans.push({ startMs, first, count: last - first + 1 })
  }
  return {
    count: spans.reduce((sum, span) => sum + span.count, 0),
    at(index) {
      let rest = index
      for (const { startMs, first, count } of spans) {
        if (rest < count) return { ms: startMs + (first + rest) * intervalMs }
        rest -= count
      }
      throw new RangeError(`no line ${index}`)
    },
  }
}

function whileRunning(env: Env, container: SimContainer, signal: AbortSignal): Promise<void> {
  return changeUntil(env, container, undefined, signal, () => container.state !== 'running')
}

function changeOrTime(env: Env, container: SimContainer, ms: number, signal: AbortSignal): Promise<void> {
  return changeUntil(env, container, ms, signal, () => true)
}

/** Resolves on abort, after `ms`, or at a change of the container for which `done` holds. */
function changeUntil(
  env: Env,
  container: SimContainer,
  ms: number | undefined,
  signal: AbortSignal,
  done: () => boolean,
): Promise<void> {
  if (signal.aborted || (ms === undefined && done())) return Promise.resolve()
  return new Promise((resolve) => {
    const finish = () => {
      off()
      cancel?.()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const off = container.onChange(() => {
      if (done()) finish()
    })
    const cancel = ms === undefined ? undefined : env.after(ms, finish)
    signal.addEventListener('abort', finish, { once: true })
  })
}
