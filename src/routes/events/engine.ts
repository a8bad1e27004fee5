import type { HostEngine } from '../../engine/interface.js'
import { SwarmError } from '../../model/errors.js'
import type { Query } from '../http/query.js'

/**
 * Hands on the engine's own events, line by line, until they end or `signal` aborts.
 * @throws {SwarmError} Unavailable, or what the engine refused.
 */
export async function engineEvents(
  engine: HostEngine,
  query: Query,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  const search = new URLSearchParams()
  for (const name of ['since', 'until', 'filters'] as const) {
    const value = query[name] ?? ''
    if (value !== '') search.set(name, value)
  }
  const { status, body } = await engine.stream(
    { method: 'GET', path: `/events?${search.toString()}` },
    signal,
  )
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    if (status !== 200) continue
    for (const line of lines) if (line !== '') onLine(line)
  }
  if (status !== 200) throw new SwarmError('Unknown', `the engine refused to tell its events (${status})`)
}
