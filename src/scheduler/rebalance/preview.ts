import type { Env } from '../../env/env.js'
import type { Service } from '../../model/objects.js'
import { inSlices } from '../../store/slices.js'
import type { View } from '../../store/schema.js'
import { ClusterFacts } from '../cluster-facts.js'
import { obstacleOf, type Obstacle } from './obstacle.js'
import { MovePlanner, type Move } from './plan.js'
import { nodesAsTheyWillBe } from './rebalancer.js'

export interface RebalancePreview {
  /** In the order in which they would be made. */
  readonly moves: readonly Move[]
  /** Services that are not moved, and why. */
  readonly obstacles: readonly (Obstacle & { readonly serviceId: string; readonly serviceName: string })[]
}

/** A cluster that is out of balance by more is looked at again when these are done. */
const maxMoves = 1000

/**
 * What a rebalancing would move as things are now, service by service; nothing is written. From the store
 * alone, so on any manager.
 */
export async function previewRebalance(
  env: Env,
  view: View,
  services: readonly Service[],
  signal: AbortSignal,
): Promise<RebalancePreview> {
  const facts = new ClusterFacts(view)
  const nodes = await nodesAsTheyWillBe(env, view, signal)
  const planner = new MovePlanner(nodes, facts, { nowMs: env.nowMs(), settleMs: 0 })
  const moves: Move[] = []
  const obstacles: RebalancePreview['obstacles'][number][] = []
  let open: Service[] = []
  const look = (service: Service) => {
    const obstacle = obstacleOf(service, view.tasks.by('service', service.id), facts)
    if (obstacle === undefined) open.push(service)
    else obstacles.push({ serviceId: service.id, serviceName: service.spec.Name ?? '', ...obstacle })
  }
  await inSlices(env, services, look, signal)
  // One of each in turn, as it would be done.
  while (open.length > 0 && moves.length < maxMoves && !signal.aborted) {
    const round = open
    open = []
    const plan = (service: Service) => {
      const move = planner.next(service, view.tasks.by('service', service.id))
      if (move === undefined || moves.length >= maxMoves) return
      moves.push(move)
      open.push(service)
    }
    await inSlices(env, round, plan, signal)
  }
  return { moves, obstacles }
}
