import assert from 'node:assert/strict'
import type { ClusterNode } from './cluster.js'

interface Listed {
  readonly Id?: string
  readonly ID?: string
  readonly Name?: string
  readonly Scope?: string
  readonly Spec?: { readonly Name?: string }
}

/** What users have in a swarm, with their IDs, as one of the managers shows it. */
export async function inventory({ skepd }: ClusterNode): Promise<Readonly<Record<string, unknown>>> {
  const get = async (path: string) => {
    const reply = await skepd.request('GET', path)
    assert.equal(reply.status, 200, `${path}: ${reply.text}`)
    return reply.json()
  }
  const list = async (path: string) => {
    const objects = (await get(path)) as readonly Listed[]
    return objects
      .filter(({ Scope = 'swarm' }) => Scope === 'swarm')
      .map(({ Id, ID = Id, Spec, Name = Spec?.Name }) => `${ID} ${Name}`)
      .sort()
  }
  const { ID, JoinTokens, TLSInfo } = (await get('/swarm')) as Readonly<Record<string, unknown>>
  return {
    swarm: { ID, JoinTokens, TLSInfo },
    services: await list('/services'),
    configs: await list('/configs'),
    secrets: await list('/secrets'),
    networks: await list('/networks'),
  }
}

/** Something of each kind that users make. */
export async function fill({ docker }: ClusterNode): Promise<void> {
  await docker.ok('config create settings -', 'settings')
  await docker.ok('secret create password -', 'hunter2')
  await docker.ok('network create --driver overlay back')
  await docker.ok(
    'service create -d --name web --replicas 2 --network back --secret password -q busybox sleep 1000',
  )
}
