import type { HostEngine } from '../../engine/interface.js'
import type { Env } from '../../env/env.js'
import { errorText } from '../../model/errors.js'
import type { NetworkInspect } from '../convert/network.js'
import { engineJson } from '../http/engine.js'

/**
 * The networks of this host's engine; none where it cannot be asked, since the cluster's are worth
 * something without them.
 * @param query with its question mark.
 */
export async function localNetworks(
  env: Env,
  engine: HostEngine,
  query = '',
): Promise<readonly NetworkInspect[]> {
  try {
    const networks = (await engineJson(engine, `/networks${query}`)) as readonly NetworkInspect[] | null
    return (networks ?? []).map(asCurrent)
  } catch (error) {
    env.log.warn({ err: errorText(error) }, "the engine's networks are unknown")
    return []
  }
}

/** One of them in full. @throws {EngineError} what the engine refuses. */
export async function localNetwork(
  engine: HostEngine,
  id: string,
  verbose: boolean,
): Promise<NetworkInspect> {
  const path = `/networks/${encodeURIComponent(id)}${verbose ? '?verbose=true' : ''}`
  return asCurrent((await engineJson(engine, path)) as NetworkInspect)
}

/** Older engines say nothing of IPv4: they always have it. */
function asCurrent({
  Name,
  Id,
  Created,
  Scope,
  Driver,
  EnableIPv4 = true,
  ...rest
}: NetworkInspect): NetworkInspect {
  return { Name, Id, Created, Scope, Driver, EnableIPv4, ...rest }
}
