import type { Cluster, Node } from '../model/objects.js'
import type { Commit, View } from '../store/store.js'
import type { SessionMessage } from '../wire/index.js'

/** Docker's default. Behaviour: moby/swarmkit manager/dispatcher/dispatcher.go. */
const defaultHeartbeatMs = 5000
const managerWeight = 10
/** Who leads has enough to do; and a leader that dies takes fewer sessions with it. */
const leaderWeight = 1
/** A manager takes so many sessions in a millisecond. */
const sessionsPerMs = 1
/** Within the time after which a node counts as down. */
const maxReconnectSpreadMs = 1500

/** What all sessions tell their nodes alike, kept up to date without scans. */
export class SessionFacts {
  readonly #managerAddrs = new Map<string, string>()
  #managers: SessionMessage['managers'] = []
  #heartbeatPeriodMs = defaultHeartbeatMs
  #rootCaPem = ''
  readonly #view: View
  readonly #leaderId: string

  /** @param leaderId this manager's node. */
  constructor(view: View, leaderId: string) {
    this.#view = view
    this.#leaderId = leaderId
    for (const node of view.nodes.list()) this.#learnNode(node.id, node)
    for (const cluster of view.clusters.list()) this.#learnCluster(cluster)
    this.#listManagers()
  }

  /** Time between two heartbeats as the cluster's spec says, before jitter. */
  get heartbeatPeriodMs(): number {
    return this.#heartbeatPeriodMs
  }

  /** @returns whether nodes are to be told something new. */
  onCommit(commit: Commit): boolean {
    let changed = false
    for (const change of commit.changes) {
      if (change.table === 'nodes') {
        if (this.#learnNode(change.id, change.after)) {
          this.#listManagers()
          changed = true
        }
      } else if (change.table === 'clusters' && change.after !== undefined) {
        if (this.#learnCluster(change.after)) changed = true
      }
    }
    return changed
  }

  message(sessionId: string, node: Node): SessionMessage & { readonly type: 'session' } {
    const { id, spec, role, attachments, certificate } = node
    return {
      type: 'session',
      sessionId,
      heartbeatPeriodMs: this.#heartbeatPeriodMs,
      node: {
        id,
        spec,
        role,
        ...(attachments === undefined ? {} : { attachments }),
        ...(certificate === undefined ? {} : { certificateStatus: certificate.status }),
      },
      managers: this.#managers,
      reconnectSpreadMs: Math.min(this.#view.nodes.size / sessionsPerMs, maxReconnectSpreadMs),
      rootCaPem: this.#rootCaPem,
    }
  }

  #learnNode(id: string, node: Node | undefined): boolean {
    const addr = node?.managerAddr
    if (this.#managerAddrs.get(id) === addr) return false
    if (addr === undefined) this.#managerAddrs.delete(id)
    else this.#managerAddrs.set(id, addr)
    return true
  }

  #learnCluster({ spec, rootCa }: Cluster): boolean {
    const periodNs = spec.Dispatcher?.HeartbeatPeriod
    const periodMs = periodNs === undefined || periodNs === 0 ? defaultHeartbeatMs : periodNs / 1e6
    const changed = periodMs !== this.#heartbeatPeriodMs || rootCa.certPem !== this.#rootCaPem
    this.#heartbeatPeriodMs = periodMs
    this.#rootCaPem = rootCa.certPem
    return changed
  }

  #listManagers(): void {
    this.#managers = [...this.#managerAddrs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([nodeId, addr]) => ({
        nodeId,
        addr,
        weight: nodeId === this.#leaderId ? leaderWeight : managerWeight,
      }))
  }
}

/** Whether the node itself is to be told of the change. Its status and description are its own word. */
export function concernsItsSession(before: Node | undefined, after: Node): boolean {
  return (
    before === undefined ||
    before.spec !== after.spec ||
    before.role !== after.role ||
    before.attachments !== after.attachments ||
    before.certificate?.status !== after.certificate?.status
  )
}
