import { DockerCli } from './docker-cli.js'
import { Skepd, type SkepdOptions } from './skepd.js'

/** Where a node of a cluster lives. */
export interface Site {
  readonly address: string
  /** Puts the daemon there. */
  readonly wrap?: SkepdOptions['wrap']
}

export interface ClusterOptions {
  /** Default: 127.0.0.1, 127.0.0.2, … */
  readonly sites?: readonly Site[]
  /** Cluster port of all nodes. Default: one that no other cluster of the tests has. */
  readonly port?: number
  /** The daemons find out their addresses by themselves, as most users have it. */
  readonly detectAddresses?: boolean
}

/** A daemon of a cluster whose nodes differ by their address. */
export interface ClusterNode {
  readonly name: string
  /** `127.0.0.2`. */
  readonly address: string
  /** Where its cluster port is, or would be. */
  readonly clusterAddr: string
  readonly skepd: Skepd
  readonly docker: DockerCli
}

/** Below the ports that the system hands out, and 16 for each test process: others run at the same time. */
let nextPort = 10_000 + (process.pid % 1300) * 16

/** Daemons on addresses of their own, all with the same cluster port, with simulated engines. */
export class TestCluster {
  readonly nodes: readonly ClusterNode[]
  readonly port: number
  readonly #detectAddresses: boolean

  private constructor(nodes: readonly ClusterNode[], port: number, detectAddresses: boolean) {
    this.nodes = nodes
    this.port = port
    this.#detectAddresses = detectAddresses
  }

  static async start(
    count: number,
    args: readonly string[] = [],
    options: ClusterOptions = {},
  ): Promise<TestCluster> {
    const port = options.port ?? nextPort++
    const starting = Array.from({ length: count }, async (_, index): Promise<ClusterNode> => {
      const name = `node-${index + 1}`
      const { address, wrap } = options.sites?.[index] ?? { address: `127.0.0.${index + 1}` }
      const skepd = await Skepd.start({
        args: ['--hostname', name, ...args],
        ...(wrap !== undefined && { wrap }),
      })
      return { name, address, clusterAddr: `${address}:${port}`, skepd, docker: new DockerCli(skepd.host) }
    })
    return new TestCluster(await Promise.all(starting), port, options.detectAddresses === true)
  }

  /** From 1. */
  node(number: number): ClusterNode {
    const node = this.nodes[number - 1]
    if (node === undefined) throw new Error(`there is no node ${number}`)
    return node
  }

  /** stdout of the CLI. */
  async init(number = 1, flags: readonly string[] = []): Promise<string> {
    return this.node(number).docker.ok(['swarm init', ...this.#addressFlags(number), ...flags].join(' '))
  }

  async token(role: 'worker' | 'manager', from = 1): Promise<string> {
    return (await this.node(from).docker.ok(`swarm join-token -q ${role}`)).trim()
  }

  /** The command line that makes a node join at `via`. */
  joinLine(number: number, token: string, via = 1, flags = ''): string {
    const addresses = this.#addressFlags(number).map((flag) => `${flag} `)
    return `swarm join --token ${token} ${addresses.join('')}${flags}${this.node(via).clusterAddr}`
  }

  /** Joins; stdout of the CLI. */
  async join(number: number, role: 'worker' | 'manager', via = 1): Promise<string> {
    return this.node(number).docker.ok(this.joinLine(number, await this.token(role, via), via))
  }

  /** `node-1 ready active leader` of every node, by name, as one of the managers shows them. */
  async list(from = 1): Promise<string[]> {
    const out = await this.node(from).docker.ok(
      'node ls --format {{.Hostname}}_{{.Status}}_{{.Availability}}_{{.ManagerStatus}}',
    )
    return out
      .trim()
      .split('\n')
      .map((line) => line.replaceAll('_', ' ').trim().toLowerCase())
      .sort()
  }

  #addressFlags(number: number): readonly string[] {
    if (this.#detectAddresses) return []
    const { address, clusterAddr } = this.node(number)
    return [`--advertise-addr ${address}`, `--listen-addr ${clusterAddr}`]
  }

  async stop(): Promise<void> {
    for (const { docker } of this.nodes) docker.dispose()
    await Promise.all(this.nodes.map(({ skepd }) => skepd.stop()))
  }
}
