/** A node on which a service failed so often of late is a last resort for it. */
const manyFailures = 5
const memoryMs = 5 * 60_000

/**
 * Remembers which nodes tasks of a service and spec version have failed on.
 * Behaviour: moby/swarmkit manager/scheduler/nodeinfo.go.
 */
export class Failures {
  /** By service and spec version, then by node: when, in monotonic ms, oldest first. */
  readonly #times = new Map<string, Map<string, number[]>>()

  record(key: string, nodeId: string, nowMs: number): void {
    let byNode = this.#times.get(key)
    if (byNode === undefined) this.#times.set(key, (byNode = new Map()))
    const times = (byNode.get(nodeId) ?? []).filter((timeMs) => timeMs > nowMs - memoryMs)
    byNode.set(nodeId, [...times.slice(-99), nowMs])
  }

  /** The nodes with many failures, and how many. Forgets what is too old. */
  of(key: string, nowMs: number): ReadonlyMap<string, number> {
    const byNode = this.#times.get(key)
    const many = new Map<string, number>()
    if (byNode === undefined) return many
    for (const [nodeId, times] of byNode) {
      const recent = times.filter((timeMs) => timeMs > nowMs - memoryMs)
      if (recent.length === 0) byNode.delete(nodeId)
      else byNode.set(nodeId, recent)
      if (recent.length >= manyFailures) many.set(nodeId, recent.length)
    }
    if (byNode.size === 0) this.#times.delete(key)
    return many
  }

  /** Forgets a service. */
  forget(serviceId: string): void {
    for (const key of this.#times.keys()) if (key.startsWith(`${serviceId}/`)) this.#times.delete(key)
  }
}
