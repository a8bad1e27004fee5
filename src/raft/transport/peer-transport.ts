import type { Env } from '../../env/env.js'
import { findMember, type Member, type MemberId, type Membership, type Message } from '../core/index.js'
import type { MessageOf } from '../core/index.js'
import type { Transport } from '../interfaces.js'
import { PeerClose, type PeerConnection } from './connection.js'
import { connectTo, type Dial } from './dialing.js'
import { transportVersion, type Hello } from './frames.js'
import { Inbound, type InboundHost } from './inbound.js'
import { Peer } from './peer.js'
import { streamSnapshot } from './snapshot-sender.js'

/** What the transport brings messages to: the driver. */
export interface Receiver {
  receive(messages: readonly Message[]): void
  receiveSnapshot(message: MessageOf<'snapshot'>, content: AsyncIterable<Uint8Array>): Promise<void>
  reportUnreachable(id: MemberId): void
  /** The member's host answers, and nothing listens where the member was. */
  reportGone(id: MemberId): void
}

export interface PeerTransportOptions {
  readonly id: MemberId
  /** This member's own context: told to those who do not know it yet, or not under its present address. */
  readonly context: () => string
  readonly dial: Dial
  /** The node that a context names; undefined if it is malformed. */
  readonly nodeIdOf: (context: string) => string | undefined
  /** Another member says that this one is removed. May be called again. */
  readonly onRemoved?: () => void
}

/**
 * Carries messages over connections between managers: for each direction of each pair one of its own, and one
 * for each snapshot.
 *
 * Whoever has a manager's certificate may connect; as a member it speaks only if the members' list says that
 * it is this node, or if the list does not know the member yet: this member's list may be old.
 */
export class PeerTransport implements Transport {
  readonly #env: Env
  readonly #options: PeerTransportOptions
  readonly #peers = new Map<MemberId, Peer>()
  readonly #inbounds = new Set<Inbound>()
  /** What members said of themselves on connections that are open, or that the list does not know. */
  readonly #learned = new Map<MemberId, string>()
  readonly #inboundHost: InboundHost
  #membership: Membership = { members: [], removedIds: [] }
  #receiver: Receiver | undefined
  readonly #snapshots = new Set<PeerConnection>()
  #stopped = false

  constructor(env: Env, options: PeerTransportOptions) {
    this.#env = env
    this.#options = options
    this.#inboundHost = {
      id: options.id,
      check: (hello, nodeId) => this.#check(hello, nodeId),
      onHello: (inbound, hello) => this.#onHello(inbound, hello),
      onMessages: (messages) => this.#receiver?.receive(messages),
      onSnapshot: (message, content) => this.#onSnapshot(message, content),
      onClosed: (inbound) => this.#inbounds.delete(inbound),
    }
  }

  /** From now on there is somebody who takes messages. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver
  }

  /** Serves a connection that another manager made. `nodeId` is proven. */
  accept(connection: PeerConnection, nodeId: string): void {
    if (this.#stopped || this.#receiver === undefined) {
      connection.close(PeerClose.NotReady, 'this member is not ready')
      return
    }
    this.#inbounds.add(new Inbound(this.#env, this.#inboundHost, connection, nodeId))
  }

  /**
   * What is known of a member: what it said last, else what the list says. Undefined for a member that nobody
   * told of.
   */
  contextOf(id: MemberId): string | undefined {
    return this.#learned.get(id) ?? findMember(this.#membership, id)?.context
  }

  send(to: MemberId, messages: readonly Message[]): void {
    this.#peer(to)?.send(messages)
  }

  async sendSnapshot(
    to: MemberId,
    message: MessageOf<'snapshot'>,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const member = this.#memberOf(to)
    if (member === undefined || this.#stopped) throw new Error(`there is no way to ${to}`)
    const connection = await connectTo(this.#env, this.#options.dial, member)
    this.#snapshots.add(connection)
    try {
      await streamSnapshot(this.#env, connection, this.#hello(to, 'snapshot'), message, content)
    } finally {
      this.#snapshots.delete(connection)
    }
  }

  updateMembers(membership: Membership): void {
    const before = this.#membership
    this.#membership = membership
    for (const { id, context } of membership.members) {
      // The list was told of a new address after the member was.
      if (findMember(before, id)?.context !== context) this.#learned.delete(id)
    }
    for (const id of membership.removedIds) this.#learned.delete(id)
    for (const [id, peer] of this.#peers) {
      const member = this.#memberOf(id)
      if (member !== undefined) {
        peer.update(member)
        continue
      }
      this.#peers.delete(id)
      peer.stop()
    }
    for (const inbound of this.#inbounds) this.#recheck(inbound)
  }

  /** Ends all connections. */
  stop(): void {
    this.#stopped = true
    for (const peer of this.#peers.values()) peer.stop()
    this.#peers.clear()
    for (const inbound of this.#inbounds) inbound.close(PeerClose.GoingAway, 'this member stops')
    for (const connection of this.#snapshots) connection.close(PeerClose.GoingAway, 'this member stops')
  }

  #peer(to: MemberId): Peer | undefined {
    if (this.#stopped) return undefined
    const known = this.#peers.get(to)
    if (known !== undefined) return known
    const member = this.#memberOf(to)
    if (member === undefined) return undefined
    const { id, context, dial, onRemoved } = this.#options
    const peer = new Peer(
      this.#env,
      {
        id,
        context,
        dial,
        onUnreachable: (unreachable) => this.#receiver?.reportUnreachable(unreachable),
        onGone: (gone) => this.#receiver?.reportGone(gone),
        onRemoved: () => onRemoved?.(),
      },
      member,
    )
    this.#peers.set(to, peer)
    return peer
  }

  #memberOf(id: MemberId): Member | undefined {
    const context = this.contextOf(id)
    if (context === undefined) return undefined
    return { id, kind: findMember(this.#membership, id)?.kind ?? 'learner', context }
  }

  #hello(to: MemberId, carries: Hello['carries']): Hello {
    const { id, context } = this.#options
    return { version: transportVersion, from: id, to, context: context(), carries }
  }

  #check(hello: Hello, nodeId: string): { readonly code: number; readonly reason: string } | undefined {
    const { id, nodeIdOf } = this.#options
    if (hello.to !== id) return { code: PeerClose.Refused, reason: `this is ${id}` }
    if (this.#membership.removedIds.includes(hello.from)) {
      return { code: PeerClose.Removed, reason: 'raft: member was removed from the cluster' }
    }
    const known = findMember(this.#membership, hello.from)
    const isItself = hello.from !== id && nodeIdOf(hello.context) === nodeId
    if (!isItself || (known !== undefined && nodeIdOf(known.context) !== nodeId)) {
      return { code: PeerClose.Refused, reason: `the certificate is not of ${hello.from}` }
    }
    return undefined
  }

  /** The members have changed: some may speak no more. */
  #recheck(inbound: Inbound): void {
    if (inbound.hello === undefined) return
    const refusal = this.#check(inbound.hello, inbound.nodeId)
    if (refusal !== undefined) inbound.close(refusal.code, refusal.reason)
  }

  #onHello(inbound: Inbound, hello: Hello): void {
    for (const other of this.#inbounds) {
      if (other === inbound || other.hello?.from !== hello.from || other.hello.carries !== hello.carries)
        continue
      other.close(PeerClose.Replaced, 'a newer connection took over')
    }
    if (findMember(this.#membership, hello.from)?.context === hello.context) this.#learned.delete(hello.from)
    else this.#learned.set(hello.from, hello.context)
    const peer = this.#peers.get(hello.from)
    const member = this.#memberOf(hello.from)
    if (peer === undefined || member === undefined) return
    peer.update(member)
    peer.retryNow()
  }

  #onSnapshot(message: MessageOf<'snapshot'>, content: AsyncIterable<Uint8Array>): Promise<void> {
    const receiver = this.#receiver
    if (receiver === undefined) return Promise.reject(new Error('this member is not ready'))
    return receiver.receiveSnapshot(message, content)
  }
}
