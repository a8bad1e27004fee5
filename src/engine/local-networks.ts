import type { HostEngine } from './interface.js'

/**
 * The name of the engine's own network that is called `nameOrId`, if there is one. An engine that cannot
 * be asked has none.
 */
export async function findLocalNetwork(engine: HostEngine, nameOrId: string): Promise<string | undefined> {
  const { status, body } = await engine.call({
    method: 'GET',
    path: `/networks/${encodeURIComponent(nameOrId)}`,
  })
  if (status !== 200) return undefined
  const { Name } = JSON.parse(body.toString()) as { readonly Name?: unknown }
  return typeof Name === 'string' ? Name : undefined
}
