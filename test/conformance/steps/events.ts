import { v, type Context, type Step } from '../script.js'

/** The events of one kind so far. Read before others push them out of the 256 that a daemon remembers. */
export function eventsSoFar(name: string, filters: Record<string, readonly string[]>): Step {
  return {
    name,
    call: async (c: Context) => {
      // The daemon's own clock, rounded up to whole seconds: `until` must not lie before the last event.
      const { SystemTime } = (await c.get('/info')) as { SystemTime: string }
      const until = Math.ceil(Date.parse(SystemTime) / 1000)
      const query = `since=1&until=${until}&filters=${encodeURIComponent(JSON.stringify(filters))}`
      return { method: 'GET', path: `${v}/events?${query}` }
    },
  }
}
