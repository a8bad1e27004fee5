import type {
  Cluster,
  Config,
  Network,
  Node,
  Revision,
  Secret,
  Service,
  TableName,
  Tables,
  Task,
  Volume,
} from '../model/objects.js'
import { Table, type IndexKeys, type ReadTable } from './table.js'

const name = (value: string | undefined): readonly string[] =>
  value === undefined ? [] : [value.toLowerCase()]
const targets = (service: Service) =>
  [...(service.spec.TaskTemplate?.Networks ?? []), ...(service.spec.Networks ?? [])].flatMap(
    (network) => network.Target ?? [],
  )

/** Asked for, or given by the allocator. */
const publishedPorts = (service: Service) => [
  ...new Set(
    [...(service.spec.EndpointSpec?.Ports ?? []), ...(service.endpoint?.ports ?? [])]
      .filter(({ PublishedPort: port }) => (port ?? 0) !== 0)
      .map(({ PublishedPort: port, Protocol: protocol }) => `${port}/${protocol ?? 'tcp'}`),
  ),
]

/**
 * The index of each table that its lookups need. Names are filed in lower case: they are unique whatever
 * the case, except for nodes, whose name is the hostname and need not be unique at all.
 */
const indexes = {
  clusters: { name: (cluster: Cluster) => name(cluster.spec.Name) },
  nodes: { name: (node: Node) => name(node.description?.Hostname) },
  networks: { name: (network: Network) => name(network.spec.Name) },
  secrets: { name: (secret: Secret) => name(secret.spec.Name) },
  configs: { name: (config: Config) => name(config.spec.Name) },
  volumes: { name: (volume: Volume) => name(volume.spec.Name) },
  services: {
    name: (service: Service) => name(service.spec.Name),
    /** By the ID of a network that its tasks join. */
    network: targets,
    /** By a port that it publishes: `8080/tcp`. */
    publishedPort: publishedPorts,
    /** By the ID of a secret that the current spec refers to. */
    secret: (service: Service) =>
      (service.spec.TaskTemplate?.ContainerSpec?.Secrets ?? []).flatMap((ref) => ref.SecretID ?? []),
    config: (service: Service) =>
      (service.spec.TaskTemplate?.ContainerSpec?.Configs ?? []).flatMap((ref) => ref.ConfigID ?? []),
  },
  revisions: { service: (revision: Revision) => revision.serviceId },
  tasks: {
    service: (task: Task) => task.serviceId ?? [],
    node: (task: Task) => task.nodeId ?? [],
    /** By what one replica is: see `slotKey`. */
    slot: (task: Task) => slotKey(task) ?? [],
    network: (task: Task) => task.networks.map((network) => network.networkId),
    /** By the ID of a volume of the cluster that it was given. */
    volume: (task: Task) => task.volumes?.map(({ id }) => id) ?? [],
  },
} as const satisfies {
  readonly [K in TableName]: Readonly<Record<string, (object: Tables[K]) => string | readonly string[]>>
}

export type IndexName<K extends TableName> = keyof (typeof indexes)[K] & string

/** All tables, to be read. */
export type View = { readonly [K in TableName]: ReadTable<Tables[K], IndexName<K>> }

export type TableSet = { readonly [K in TableName]: Table<Tables[K], IndexName<K>> }

type UniquelyNamed = Exclude<TableName, 'nodes' | 'revisions' | 'tasks'>

/** Whether no two objects of the table may have the same name, whatever the case. */
export function isUniquelyNamed(table: TableName): table is UniquelyNamed {
  return table !== 'nodes' && table !== 'revisions' && table !== 'tasks'
}

/**
 * What tells one replica from another: service and slot, or service and node for global services.
 * Undefined for tasks without a service.
 */
export function slotKey(
  task: Pick<Task, 'serviceId' | 'slot' | 'nodeId' | 'jobIteration'>,
): string | undefined {
  if (task.serviceId === undefined) return undefined
  return task.slot === 0 && task.nodeId !== undefined
    ? `${task.serviceId}/node/${task.nodeId}`
    : `${task.serviceId}/slot/${task.slot}`
}

export function emptyTables(): TableSet {
  return {
    clusters: new Table(keysOf(indexes.clusters)),
    nodes: new Table(keysOf(indexes.nodes)),
    networks: new Table(keysOf(indexes.networks)),
    secrets: new Table(keysOf(indexes.secrets)),
    configs: new Table(keysOf(indexes.configs)),
    volumes: new Table(keysOf(indexes.volumes)),
    services: new Table(keysOf(indexes.services)),
    revisions: new Table(keysOf(indexes.revisions)),
    tasks: new Table(keysOf(indexes.tasks)),
  }
}

function keysOf<T, I extends string>(
  index: Readonly<Record<I, (object: T) => string | readonly string[]>>,
): Readonly<Record<I, IndexKeys<T>>> {
  const wrapped = Object.entries<(object: T) => string | readonly string[]>(index).map(
    ([indexName, keys]) => [
      indexName,
      (object: T) => {
        const found = keys(object)
        return typeof found === 'string' ? [found] : found
      },
    ],
  )
  return Object.fromEntries(wrapped) as Record<I, IndexKeys<T>>
}
