import type { Env } from '../../env/env.js'
import { parseDurationMs } from '../../model/duration.js'
import { SwarmError, errorText } from '../../model/errors.js'
import type { Network } from '../../model/objects.js'
import { parseTime } from '../../model/time.js'
import type { ManagerBackend } from '../backend.js'
import type { RouteContext } from '../context.js'
import { EngineError } from '../http/engine.js'
import { Filters, matchesLabels } from '../http/filters.js'
import type { Query } from '../http/query.js'
import { visibleNetworks } from './find.js'

const filterKeys = ['label', 'label!', 'until']

/**
 * Removes networks that nothing uses: first the cluster's, never the ingress network, then this host's.
 * Behaviour: moby daemon/prune.go, NetworksPrune.
 */
export async function pruneNetworks(
  { env, backend: { engine, swarm } }: RouteContext,
  query: Query,
): Promise<object> {
  const filters = Filters.parse(query, filterKeys)
  const untilMs = parseUntil(env, filters)
  const manager = swarm.localManager()
  const deleted = manager === undefined ? [] : await pruneSwarm(env, manager, filters, untilMs)
  const path = `/networks/prune${filters.toQuery(filterKeys)}`
  const response = await engine.call({ method: 'POST', path })
  if (response.status >= 400) throw new EngineError(response)
  const { NetworksDeleted: local } = JSON.parse(response.body.toString()) as {
    readonly NetworksDeleted?: readonly string[] | null
  }
  const all = [...deleted, ...(local ?? [])]
  return { NetworksDeleted: all.length === 0 ? null : all }
}

async function pruneSwarm(
  env: Env,
  { view, control }: ManagerBackend,
  filters: Filters,
  untilMs: number,
): Promise<readonly string[]> {
  const deleted: string[] = []
  for (const network of visibleNetworks(view).filter((candidate) => isWanted(candidate, filters, untilMs))) {
    try {
      await control.removeNetwork({ id: network.id })
      deleted.push(network.spec.Name ?? '')
    } catch (error) {
      const isInUse = error instanceof SwarmError && error.code === 'FailedPrecondition'
      if (!isInUse) env.log.warn({ network: network.id, err: errorText(error) }, 'a network was not pruned')
    }
  }
  return deleted
}

function isWanted({ spec, createdAtMs }: Network, filters: Filters, untilMs: number): boolean {
  const labels = spec.Labels ?? {}
  const unwanted = filters.get('label!')
  return (
    spec.Ingress !== true &&
    createdAtMs <= untilMs &&
    matchesLabels(filters.get('label'), labels) &&
    (unwanted.length === 0 || !matchesLabels(unwanted, labels))
  )
}

/** A time, or how long ago. @throws {SwarmError} InvalidArgument. */
function parseUntil(env: Env, filters: Filters): number {
  const [text, ...others] = filters.get('until')
  if (text === undefined) return Infinity
  if (others.length > 0) throw new SwarmError('InvalidArgument', 'more than one until filter specified')
  const time = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseTime(text)
  if (time !== undefined) return time
  try {
    return env.nowMs() - parseDurationMs(text)
  } catch (error) {
    throw new SwarmError('InvalidArgument', errorText(error), { cause: error })
  }
}
