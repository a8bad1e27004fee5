import { DockerCli } from './docker-cli.js'
import { Skepd } from './skepd.js'

/** A daemon of a cluster whose nodes differ by their loopback address. */
export interface ClusterNode {
  readonly name: string
  /** `127.0.0.2`. */
  readonly address: string
  /** Where its cluster port is, or would be. */
  readonly clusterAddr: string
  readonly skepd: Skepd
  readonly docker: DockerCli
}

let nextPort = 20_000 + (process.pid % 20_000)

/** Daemons on 127.0.0.1, 127.0.0.2, …, all with the same cluster port, with simulated engines. */
export class TestCluster {
  readonly nodes: readonly ClusterNode[]
  readonly port: number

  private constructor(nodes: readonly ClusterNode[], port: number) {
    this.nodes = nodes
    this.port = port
  }

  static async start(count: number, args: readonly string[] = []): Promise<TestCluster> {
    const port = nextPort++
    const starting = Array.from({ length: count }, async (_, index): Promise<ClusterNode> => {
      const name = `node-${index + 1}`
      const address = `127.0.0.${index + 1}`
      const skepd = await Skepd.start({ args: ['--hostname', name, ...args] })
      return { name, address, clusterAddr: `${address}:${port}`, skepd, docker: new DockerCli(skepd.host) }
    })
    return new TestCluster(await Promise.all(starting), port)
  }

  /** From 1. */
  node(number: number): ClusterNode {
    const node = this.nodes[number - 1]
    if (node === undefined) throw new Error(`there is no node ${number}`)
    return node
  }

  async init(number = 1, flags: readonly string[] = []): Promise<void> {
    const { docker, address, clusterAddr } = this.node(number)
    await docker.ok(
      ['swarm init --advertise-addr', address, '--listen-addr', clusterAddr, ...flags].join(' '),
    )
  }

  async token(role: 'worker' | 'manager', from = 1): Promise<string> {
    return (await this.node(from).docker.ok(`swarm join-token -q ${role}`)).trim()
  }

  /** The command line that makes a node join at `via`. */
  joinLine(number: number, token: string, via = 1, flags = ''): string {
    const { address, clusterAddr } = this.node(number)
    return `swarm join --token ${token} --listen-addr ${clusterAddr} --advertise-addr ${address} ${flags}${this.node(via).clusterAddr}`
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

  async stop(): Promise<void> {
    for (const { docker } of this.nodes) docker.dispose()
    await Promise.all(this.nodes.map(({ skepd }) => skepd.stop()))
  }
}
