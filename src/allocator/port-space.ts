import type { PortConfig } from '../model/spec/index.js'
import { NumberSpace } from './number-space.js'

const firstDynamicPort = 30000
const lastDynamicPort = 32767

interface Held {
  readonly protocol: string
  readonly number: number
}

/** What became of a service's ports: the ports with their numbers, or why there are none. */
export type PortsOutcome =
  | { readonly ports: readonly PortConfig[] }
  | { readonly takenBy: string; readonly port: number }
  | 'none left'

/**
 * The ports that the cluster publishes in ingress mode: one space for each of TCP, UDP and SCTP. Host-mode
 * ports pass through: their number is the node's business.
 * Behaviour: moby/swarmkit manager/allocator/portallocator.go.
 */
export class PortSpace {
  readonly #spaces = new Map<string, NumberSpace>()
  readonly #owners = new Map<string, string>()
  readonly #heldBy = new Map<string, Held[]>()

  /** Takes the ports of before a restart. */
  restore(serviceId: string, ports: readonly PortConfig[]): void {
    for (const port of ports) {
      if (isIngress(port) && (port.PublishedPort ?? 0) !== 0)
        this.#take(serviceId, protocolOf(port), port.PublishedPort ?? 0)
    }
  }

  /**
   * Gives every ingress port of a service its number: the wanted one, else the one it has (`current`), else
   * the next free one. What the service had and needs no more is free afterwards. Fails as a whole.
   */
  assign(serviceId: string, wanted: readonly PortConfig[], current: readonly PortConfig[]): PortsOutcome {
    for (const port of wanted) {
      if (!isIngress(port) || !port.PublishedPort) continue
      const owner = this.#owners.get(`${protocolOf(port)}/${port.PublishedPort}`)
      if (owner !== undefined && owner !== serviceId) return { takenBy: owner, port: port.PublishedPort }
    }
    const kept = wanted.length === current.length ? current : []
    const had = this.#heldBy.get(serviceId) ?? []
    this.free(serviceId)
    const ports = this.#numbered(serviceId, wanted, kept)
    if (ports !== undefined) return { ports }
    this.free(serviceId)
    for (const { protocol, number } of had) this.#take(serviceId, protocol, number)
    return 'none left'
  }

  /** Frees all ports of a service. @returns whether it had any. */
  free(serviceId: string): boolean {
    for (const { protocol, number } of this.#heldBy.get(serviceId) ?? []) {
      this.#space(protocol).free(number)
      this.#owners.delete(`${protocol}/${number}`)
    }
    return this.#heldBy.delete(serviceId)
  }

  #numbered(
    serviceId: string,
    wanted: readonly PortConfig[],
    current: readonly PortConfig[],
  ): readonly PortConfig[] | undefined {
    for (const port of wanted) {
      if (isIngress(port) && port.PublishedPort) this.#take(serviceId, protocolOf(port), port.PublishedPort)
    }
    const sticky = wanted.map((port) => {
      if (!isIngress(port) || port.PublishedPort) return port.PublishedPort
      const before = current.find((candidate) => isSamePort(candidate, port))?.PublishedPort ?? 0
      return before !== 0 && this.#take(serviceId, protocolOf(port), before) ? before : undefined
    })
    const ports: PortConfig[] = []
    for (const [at, port] of wanted.entries()) {
      if (!isIngress(port)) {
        ports.push(port)
        continue
      }
      const number = sticky[at] ?? this.#next(serviceId, protocolOf(port))
      if (number === undefined) return undefined
      ports.push({ ...port, PublishedPort: number })
    }
    return ports
  }

  #next(serviceId: string, protocol: string): number | undefined {
    const number = this.#space(protocol).next()
    if (number !== undefined) this.#note(serviceId, protocol, number)
    return number
  }

  #take(serviceId: string, protocol: string, number: number): boolean {
    if (!this.#space(protocol).take(number)) return false
    this.#note(serviceId, protocol, number)
    return true
  }

  #note(serviceId: string, protocol: string, number: number): void {
    this.#owners.set(`${protocol}/${number}`, serviceId)
    const held = this.#heldBy.get(serviceId)
    if (held === undefined) this.#heldBy.set(serviceId, [{ protocol, number }])
    else held.push({ protocol, number })
  }

  #space(protocol: string): NumberSpace {
    let space = this.#spaces.get(protocol)
    if (space === undefined)
      this.#spaces.set(protocol, (space = new NumberSpace(firstDynamicPort, lastDynamicPort)))
    return space
  }
}

/** The mode is ingress unless said otherwise. */
export function isIngress({ PublishMode }: PortConfig): boolean {
  return PublishMode !== 'host'
}

function protocolOf({ Protocol }: PortConfig): string {
  return Protocol || 'tcp'
}

function isSamePort(a: PortConfig, b: PortConfig): boolean {
  return (
    isIngress(a) &&
    (a.Name ?? '') === (b.Name ?? '') &&
    protocolOf(a) === protocolOf(b) &&
    (a.TargetPort ?? 0) === (b.TargetPort ?? 0)
  )
}
