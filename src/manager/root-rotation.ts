import { isDeepStrictEqual } from 'node:util'
import { createJoinToken, parseCertificate, tlsInfo } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { errorText } from '../model/errors.js'
import type { Cluster, Node, RootCa } from '../model/objects.js'
import type { Change, Store, View } from '../store/store.js'

/** So many nodes renew their certificates at a time. Behaviour: moby/swarmkit ca/reconciler.go. */
const nodesAtOnce = 30
/** What changes within so long is looked at once. */
const settleMs = 100
/** A node that has renewed and shows the wrong issuer still is asked again so late. */
const askAgainMs = 5000

/**
 * Moves all nodes to certificates of the cluster's present issuer, on the leader: asks those that show another
 * one to renew, some at a time, and, when all show the target of a rotation, makes it the root.
 * Behaviour: moby/swarmkit ca/reconciler.go, without its pauses.
 */
export class RootRotation {
  readonly #env: Env
  readonly #store: Store
  readonly #unwatch: () => void
  readonly #askedAtMs = new Map<string, number>()
  /** Certificate of the issuer that the nodes were asked for. */
  #wantedPem = ''
  #cancelTimer: (() => void) | undefined
  #running: Promise<void> = Promise.resolve()
  #waitsFor = ''
  #isStopped = false

  constructor(env: Env, store: Store) {
    this.#env = env
    this.#store = store
    this.#unwatch = store.watch(({ changes }) => {
      if (changes.some((change) => this.#concerns(change))) this.#lookAfter(settleMs)
    })
    this.#lookAfter(0)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unwatch()
    this.#cancelTimer?.()
    await this.#running
  }

  /** Nodes change all the time; which certificates they show they say in their descriptions. */
  #concerns(change: Change): boolean {
    if (change.table !== 'nodes') return change.table === 'clusters'
    const isRotating = this.#store.view.clusters.list().some(({ rootCa }) => rootCa.rotation !== undefined)
    return isRotating || change.before?.description !== change.after?.description
  }

  #lookAfter(delayMs: number): void {
    if (this.#isStopped) return
    this.#cancelTimer ??= this.#env.after(delayMs, () => {
      this.#cancelTimer = undefined
      this.#running = this.#running
        .then(() => this.#look())
        .catch((error: unknown) => {
          this.#env.log.warn(
            { err: errorText(error) },
            'the rotation of the root does not go on; it is tried again',
          )
          this.#lookAfter(askAgainMs)
        })
    })
  }

  async #look(): Promise<void> {
    const [cluster] = this.#store.view.clusters.list()
    if (cluster === undefined || this.#isStopped) return
    const { rotation, certPem } = cluster.rootCa
    const wantedPem = rotation?.certPem ?? certPem
    if (wantedPem !== this.#wantedPem) this.#askedAtMs.clear()
    this.#wantedPem = wantedPem
    const others = unconvergedNodes(this.#store.view)
    if (rotation !== undefined && others.length === 0) {
      await this.#finish(cluster.id, cluster.rootCa)
      return
    }
    const toAsk = this.#nextToAsk(others, rotation !== undefined)
    if (toAsk.length > 0) await this.#ask(toAsk)
    if (rotation !== undefined) this.#report(others)
  }

  /** Nodes that are there, and have not been asked or do not hear. */
  #nextToAsk(others: readonly Node[], isRotating: boolean): readonly Node[] {
    const nowMs = this.#env.monotonicMs()
    const there = others.filter(({ status }) => status.state === 'ready')
    const underWay = there.filter(({ certificate }) => certificate?.status === 'rotate').length
    const idle = there.filter(({ id, certificate }) => {
      const askedAtMs = this.#askedAtMs.get(id)
      // Without a rotation, one who shows another issuer was moved by a rotation that was called off: it is
      // asked once, as an external CA may sign with an intermediate all the time.
      const isDue = askedAtMs === undefined || (isRotating && nowMs - askedAtMs >= askAgainMs)
      return certificate?.status !== 'rotate' && isDue
    })
    if (isRotating && idle.length < there.length) this.#lookAfter(askAgainMs)
    return idle.slice(0, Math.max(0, nodesAtOnce - underWay))
  }

  async #ask(nodes: readonly Node[]): Promise<void> {
    for (const { id } of nodes) this.#askedAtMs.set(id, this.#env.monotonicMs())
    await this.#store.update((tx) => {
      for (const { id } of nodes) {
        const certificate = tx.nodes.get(id)?.certificate
        if (certificate !== undefined) {
          tx.update('nodes', id, { certificate: { ...certificate, status: 'rotate' } })
        }
      }
    })
  }

  async #finish(clusterId: string, seen: RootCa): Promise<void> {
    const isDone = await this.#store.update((tx) => {
      const rootCa = tx.clusters.get(clusterId)?.rootCa
      if (rootCa?.rotation === undefined || !isDeepStrictEqual(rootCa, seen)) return false
      if (unconvergedNodes(tx).length > 0) return false
      const { certPem, keyPem } = rootCa.rotation
      const { lastForcedRotation } = rootCa
      tx.update('clusters', clusterId, {
        rootCa: { certPem, ...(keyPem !== undefined && { keyPem }), lastForcedRotation },
        joinTokens: {
          worker: createJoinToken(this.#env, certPem),
          manager: createJoinToken(this.#env, certPem),
        },
      })
      return true
    })
    if (isDone) this.#env.log.info({}, 'completed root rotation')
  }

  /** Says for whom the rotation waits, whenever that changes: nodes that are down do not come by themselves. */
  #report(others: readonly Node[]): void {
    const down = others.filter(({ status }) => status.state !== 'ready').map(({ id }) => id)
    if (this.#waitsFor === down.join()) return
    this.#waitsFor = down.join()
    if (down.length > 0)
      this.#env.log.warn({ nodes: down }, 'the rotation of the root waits for nodes that are down')
  }
}

/** The nodes whose certificates are not of the issuer that the cluster is to have, sorted by ID. */
export function unconvergedNodes({ clusters, nodes }: Pick<View, 'clusters' | 'nodes'>): readonly Node[] {
  const [cluster] = clusters.list()
  if (cluster === undefined) return []
  const wanted = clusterTlsInfo(cluster)
  return nodes
    .list()
    .filter(({ description }) => {
      const shown = description?.TLSInfo
      return (
        shown?.CertIssuerSubject !== wanted.CertIssuerSubject ||
        shown.CertIssuerPublicKey !== wanted.CertIssuerPublicKey
      )
    })
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** What `GET /swarm` shows of the root: the one that nodes trust, and the one that signs. */
export function clusterTlsInfo({ rootCa }: Pick<Cluster, 'rootCa'>): ReturnType<typeof tlsInfo> {
  const known = tlsInfos.get(rootCa)
  if (known !== undefined) return known
  const made = tlsInfo(rootCa.certPem, parseCertificate(rootCa.rotation?.certPem ?? rootCa.certPem))
  tlsInfos.set(rootCa, made)
  return made
}

/** Parsing takes longer than a look at a thousand nodes. */
const tlsInfos = new WeakMap<RootCa, ReturnType<typeof tlsInfo>>()
