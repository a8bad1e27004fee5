import { SwarmError } from '../../model/errors.js'

/** Where Linux starts its ephemeral ports, and Docker those it picks itself. */
const firstEphemeral = 32768
const lastEphemeral = 60999

/** The host's published ports. Nothing listens on them; but each is given only once. */
export class SimPorts {
  readonly #taken = new Set<string>()
  #next = firstEphemeral

  /**
   * Takes a port of the host.
   * @param port 0 = any free one.
   * @throws {SwarmError} Internal with Docker's text when it is taken.
   */
  take(protocol: string, port: number): number {
    if (port !== 0) {
      if (this.#taken.has(`${port}/${protocol}`)) {
        throw new SwarmError(
          'Internal',
          `driver failed programming external connectivity: Bind for 0.0.0.0:${port} failed: port is already allocated`,
        )
      }
      this.#taken.add(`${port}/${protocol}`)
      return port
    }
    for (let tried = firstEphemeral; tried <= lastEphemeral; tried++) {
      const candidate = this.#next
      this.#next = candidate === lastEphemeral ? firstEphemeral : candidate + 1
      if (!this.#taken.has(`${candidate}/${protocol}`)) return this.take(protocol, candidate)
    }
    throw new SwarmError('Internal', 'all ports are allocated')
  }

  release(protocol: string, port: number): void {
    this.#taken.delete(`${port}/${protocol}`)
  }
}
