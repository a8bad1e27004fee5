import type { FastifyInstance, FastifyReply } from 'fastify'
import { brakeWarnings } from '../model/brake.js'
import { SwarmError } from '../model/errors.js'
import type { HostEngine } from '../engine/interface.js'
import type { Backend, DaemonFacts, SwarmBackend, SwarmStatus } from './backend.js'
import type { RouteContext } from './context.js'
import { toClusterInfo, unknownCluster } from './convert/swarm.js'
import { sendJson } from './http/answer.js'
import { engineJson } from './http/engine.js'
import { maxApiVersion, minApiVersion } from './http/versions.js'
import { systemOperations as operations } from './schema/system.js'

type Json = Readonly<Record<string, unknown>>

/** `/_ping`, `/version`, `/info`. Behaviour: moby daemon/server/router/system. */
export function systemRoutes(app: FastifyInstance, { backend }: RouteContext): void {
  app.get('/_ping', { schema: operations.ping }, (_request, reply) =>
    pingHeaders(backend, reply).send(Buffer.from('OK')),
  )

  app.head('/_ping', { schema: operations.pingHead }, (_request, reply) => {
    reply.raw.setHeader('Content-Length', '0')
    return pingHeaders(backend, reply).send()
  })

  app.get('/version', { schema: operations.version }, async (_request, reply) =>
    sendJson(reply, await version(backend)),
  )

  app.get('/info', { schema: operations.info }, async (_request, reply) =>
    sendJson(reply, await info(backend)),
  )
}

function pingHeaders({ engine, swarm }: Backend, reply: FastifyReply): FastifyReply {
  const { raw } = reply
  raw.setHeader('Content-Type', 'text/plain; charset=utf-8')
  raw.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate')
  raw.setHeader('Pragma', 'no-cache')
  // 2 = BuildKit, which Podman has not.
  raw.setHeader('Builder-Version', engine.kind === 'podman' ? '1' : '2')
  raw.setHeader('Swarm', swarmHeader(swarm.status()))
  return reply
}

function swarmHeader({ state, controlAvailable }: SwarmStatus): string {
  if (state !== 'active') return state
  return controlAvailable ? 'active/manager' : 'active/worker'
}

/** The engine's answer; undefined where the engine cannot be reached: Skep answers all the same. */
async function askEngine(engine: HostEngine, path: string): Promise<Json | undefined> {
  try {
    return (await engineJson(engine, path)) as Json
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'Unavailable') return undefined
    throw error
  }
}

async function version({ engine, daemon }: Backend): Promise<Json> {
  const answer = (await askEngine(engine, '/version')) ?? { Version: daemon.version, Os: 'linux' }
  const versions = { ApiVersion: maxApiVersion, MinAPIVersion: minApiVersion }
  const components = Array.isArray(answer.Components) ? (answer.Components as readonly Json[]) : []
  return {
    ...answer,
    Platform: { Name: `Skep ${daemon.version}` },
    Components: [
      ...components.map((component) =>
        component.Name === 'Engine'
          ? { ...component, Details: { ...(component.Details as Json | undefined), ...versions } }
          : component,
      ),
      { Name: 'Skep', Version: daemon.version, Details: { GitCommit: daemon.gitCommit } },
    ],
    ...versions,
  }
}

async function info({ engine, swarm, daemon }: Backend): Promise<Json> {
  const answer = await askEngine(engine, '/info')
  const own = swarmInfo(swarm)
  const { Swarm: _engines, Warnings: engineWarnings, ...rest } = answer ?? withoutEngine(daemon)
  const warnings = [
    ...(Array.isArray(engineWarnings) ? (engineWarnings as readonly string[]) : []),
    ...(answer === undefined
      ? [`WARNING: the container engine cannot be reached: ${engine.description}`]
      : []),
    ...own.warnings,
  ]
  const engineLabels = Array.isArray(rest.Labels) ? (rest.Labels as readonly string[]) : []
  return {
    ...rest,
    Name: daemon.hostname,
    Labels: [...new Set([...engineLabels, ...daemon.labels])],
    Debug: daemon.debug || rest.Debug === true,
    Swarm: own.section,
    Warnings: warnings.length === 0 ? null : warnings,
  }
}

/** What clients print, where there is nobody to ask. */
function withoutEngine({ version, dataRoot }: DaemonFacts): Json {
  return {
    ID: '',
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 0,
    Driver: '',
    Plugins: { Volume: null, Network: null, Authorization: null, Log: null },
    ServerVersion: version,
    OSType: 'linux',
    Architecture: '',
    OperatingSystem: '',
    KernelVersion: '',
    NCPU: 0,
    MemTotal: 0,
    DockerRootDir: dataRoot,
    LoggingDriver: '',
    CgroupDriver: '',
    DefaultRuntime: '',
    SecurityOptions: null,
  }
}

const twoManagersWarning =
  'WARNING: Running Swarm in a two-manager configuration. This configuration provides\n' +
  '         no fault tolerance, and poses a high risk to lose control over the cluster.\n' +
  '         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the\n' +
  '         Swarm for fault-tolerance.'

/** This node's part in a swarm. Behaviour: moby daemon/cluster/swarm.go, Info. */
function swarmInfo(swarm: SwarmBackend): { readonly section: Json; readonly warnings: readonly string[] } {
  const status = swarm.status()
  const manager = status.controlAvailable ? swarm.localManager() : undefined
  const remoteManagers = status.remoteManagers.map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr }))
  const start = {
    NodeID: status.nodeId,
    NodeAddr: status.nodeAddr,
    LocalNodeState: status.state,
    ControlAvailable: status.controlAvailable,
    Error: status.error,
    RemoteManagers: remoteManagers.length === 0 ? null : remoteManagers,
  }
  const [cluster] = manager?.view.clusters.list() ?? []
  if (manager === undefined) return withWarnings(start, status.warnings)
  if (cluster === undefined || status.error !== '') {
    return withWarnings({ ...start, Cluster: unknownCluster }, status.warnings)
  }
  const managers = manager.view.nodes.list().filter(({ role }) => role === 'manager').length
  const warnings = [
    ...status.warnings,
    ...(managers === 2 ? [twoManagersWarning] : []),
    ...brakeWarnings(manager.view.nodes.list()),
  ]
  return withWarnings(
    {
      ...start,
      ...(manager.view.nodes.size > 0 && { Nodes: manager.view.nodes.size }),
      ...(managers > 0 && { Managers: managers }),
      Cluster: toClusterInfo(cluster, manager),
    },
    warnings,
  )
}

function withWarnings(section: Json, warnings: readonly string[]) {
  return { section: warnings.length === 0 ? section : { ...section, Warnings: warnings }, warnings }
}
