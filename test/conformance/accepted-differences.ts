import type { Difference } from './compare.js'

/** A way in which Skep answers otherwise than the recorded dockerd, on purpose. Also in docs/differences.md. */
export interface AcceptedDifference {
  /** Unique; the row of docs/differences.md carries it. */
  readonly name: string
  readonly reason: string
  /** Shows only in the containers of a real engine. */
  readonly engineOnly?: true
  /** Which steps show it. */
  readonly steps: RegExp
  /** Where in the answer. */
  readonly at: RegExp
  /** What Docker's and Skep's value must be, as JSON; anything when absent. */
  readonly docker?: RegExp
  readonly skep?: RegExp
}

const newerApi = 'The recorded engine speaks API 1.41, Skep 1.56, in whose engines this changed:'

export const acceptedDifferences: readonly AcceptedDifference[] = [
  {
    name: 'api-versions',
    reason: 'Skep speaks API 1.24 to 1.56, the recorded engine 1.12 to 1.41.',
    steps: /^version (too old|far too new)$/,
    at: /^body/,
    docker: /1\.12, please|is 1\.41/,
    skep: /1\.24, please|is 1\.56/,
  },
  {
    name: 'json-error-prefix',
    reason: `${newerApi} a body that is no JSON is answered with a prefix.`,
    steps: /: (malformed JSON|no JSON|wrong type|negative replicas|bad base64)$/,
    at: /^body\.message$/,
    skep: /^"invalid JSON: /,
  },
  {
    name: 'content-type-checked',
    reason: `${newerApi} a body that is not declared as JSON is refused.`,
    steps: /: wrong content type$/,
    at: /^body\.message$/,
    skep: /unsupported Content-Type header \(text\/plain\)/,
  },
  {
    name: 'filter-texts',
    reason: `${newerApi} a bad filter is always a 400, in small letters.`,
    steps: /: (unknown filter|filters no JSON|whole names)$/,
    at: /^(status|body\.message)$/,
    skep: /^(400|"invalid filter.*")$/,
  },
  {
    name: 'create-warnings',
    reason: `${newerApi} a created service comes with a list of warnings, null when there are none.`,
    steps: /^create service /,
    at: /^body\.Warnings$/,
    docker: /^absent$/,
    skep: /^null$/,
  },
  {
    name: 'task-volumes',
    reason: `${newerApi} a task shows its cluster volumes, null when there are none.`,
    steps: /^task/,
    at: /^body(\[\d+\])?\.Volumes$/,
    docker: /^absent$/,
    skep: /^null$/,
  },
  {
    name: 'network-ipv4-flag',
    reason: `${newerApi} networks say whether they have IPv4.`,
    steps: /^network|^task/,
    at: /\.EnableIPv4$/,
    docker: /^absent$/,
    skep: /^true$/,
  },
  {
    name: 'network-lists-without-containers',
    reason: `${newerApi} lists of networks do not show containers.`,
    steps: /^networks: /,
    at: /\.(Containers|Peers)$/,
    skep: /^(absent|null)$/,
  },
  {
    name: 'query-values-are-400',
    reason: `${newerApi} a malformed query value is the client's fault.`,
    steps: /^(service logs: (no stream|bad since)|events: bad since|update service: bad registryAuthFrom)$/,
    at: /^(status|body\.message)$/,
    skep: /^(400|"(must specify at least one of 'stdout' or 'stderr'|invalid value for .*|invalid registryAuthFrom .*)")$/,
  },
  {
    name: 'overlay-outside-a-swarm',
    reason: `${newerApi} an overlay network on a node without a swarm is forbidden, not an internal error.`,
    steps: /^inactive: create overlay$/,
    at: /^status$/,
    docker: /^500$/,
    skep: /^403$/,
  },
  {
    name: 'pool-is-checked-as-json',
    reason: `${newerApi} address pools are parsed with the body.`,
    steps: /^init: bad pool$/,
    at: /^(status|body\.message)$/,
    skep: /^(400|"(invalid JSON: .*|invalid CIDR address: zz)")$/,
  },
  {
    name: 'secrets-have-a-minimum-version',
    reason: `${newerApi} the minimum version of a route is enforced by the server.`,
    steps: /^secrets below their version$/,
    at: /^(status|headers|body)$/,
    skep: /^(400|\["api-version","ostype","server.*|.*GET \/secrets requires minimum API version 1\.25.*)$/,
  },
  {
    name: 'bad-subnet',
    reason: `${newerApi} subnets are checked by the cluster, and the fault is the client's.`,
    steps: /^create network: bad subnet$/,
    at: /^(status|body\.message)$/,
    skep: /^(400|"rpc error: code = InvalidArgument desc = ipam configuration: invalid subnet zz")$/,
  },
  {
    name: 'network-without-a-name',
    reason: `${newerApi} names are checked by the cluster, and the fault is the client's.`,
    steps: /^create network: no name$/,
    at: /^(status|body\.message)$/,
    skep: /^(400|"rpc error: code = InvalidArgument desc = meta: name must be provided")$/,
  },
  {
    name: 'log-content-type',
    reason: `${newerApi} logs say that they are a raw stream.`,
    steps: /^service logs: empty$/,
    at: /^contentType$/,
    docker: /^null$/,
    skep: /^"application\/vnd\.docker\.raw-stream"$/,
  },
  {
    name: 'host-ports-once',
    reason: 'The recorded engine lists a host port once for IPv4 and again for IPv6; Skep lists it once.',
    steps: /^task/,
    at: /\.PortStatus\.Ports$/,
  },
  {
    name: 'ingress-is-not-local',
    reason: 'Networks have no data plane yet: the ingress network is there, but nothing is attached to it.',
    steps: /^network ingress$/,
    at: /^body\.(Containers|Labels|Peers)$/,
    skep: /^(null|absent)$/,
  },
  {
    name: 'empty-lists-in-containers',
    reason:
      'Skep names every list in a container of a real engine, dockerd leaves empty ones out: no effect.',
    engineOnly: true,
    steps: /^container of /,
    at: /^body\.HostConfig\.(CapAdd|CapDrop|Dns|DnsOptions|DnsSearch|ExtraHosts|GroupAdd|SecurityOpt)$/,
    docker: /^null$/,
    skep: /^\[\]$/,
  },
  {
    name: 'all-names-of-a-host',
    reason: 'A line of extra hosts may have several names; dockerd takes the first and drops the others.',
    engineOnly: true,
    steps: /^container of names$/,
    at: /^body\.HostConfig\.ExtraHosts$/,
    skep: /"three:1\.2\.3\.5"/,
  },
  {
    name: 'secret-files-are-bind-mounts',
    reason:
      "Secrets and configs come from files in the host's memory: the engine's own way is not in its API.",
    engineOnly: true,
    steps: /^container of files$/,
    at: /^body\.(HostConfig\.)?Mounts$/,
    skep: /"Source":"\/dev\/shm\/skep-/,
  },
  {
    name: 'engine-plugins',
    reason:
      'A simulated engine has other drivers than the recorded dockerd; with a real engine they are its own.',
    steps: /^node/,
    at: /\.Description\.Engine\.(Plugins|Labels).*$/,
  },
  {
    name: 'events-of-the-first-moment',
    reason: 'Events are kept by the cluster: those of its own founding as well.',
    steps: /^events of nodes made$/,
    at: /^(body|finalNewline)$/,
    docker: /^(null|false)$/,
    skep: /^(\{"Type":"node","Action":"create".*|true)$/,
  },
]

/** The accepted difference that `difference` is an instance of. */
export function acceptedAs(difference: Difference): AcceptedDifference | undefined {
  return acceptedDifferences.find(
    ({ steps, at, docker, skep }) =>
      steps.test(difference.step) &&
      at.test(difference.at) &&
      (docker?.test(difference.docker) ?? true) &&
      (skep?.test(difference.skep) ?? true),
  )
}
