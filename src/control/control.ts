import type { Env } from '../env/env.js'
import type { Store } from '../store/store.js'
import { membersInStore, type ControlContext } from './context.js'
import type { Control } from './interface.js'
import { createNetwork, removeNetwork } from './networks.js'
import { removeNode, updateNode } from './nodes.js'
import {
  createConfig,
  createSecret,
  removeConfig,
  removeSecret,
  updateConfig,
  updateSecret,
} from './secrets.js'
import { createService } from './services/create.js'
import { removeService } from './services/remove.js'
import { rollbackService, updateService } from './services/update.js'
import { requestRebalance } from './rebalance.js'
import { updateSwarm } from './swarm.js'
import { createVolume, removeVolume, updateVolume } from './volumes.js'

/**
 * The checked writes of the API on a store. Only those on the leader's store can succeed.
 * @param options `findLocalNetwork`: without it, networks of this host's engine are simply not found.
 *   `members`: without it, the members of raft are the nodes that the store shows as managers.
 *   `credentials`: without it, external CAs cannot be reached.
 */
export function createControl(
  env: Env,
  store: Store,
  options: Partial<Pick<ControlContext, 'findLocalNetwork' | 'members' | 'credentials'>> = {},
): Control {
  const context: ControlContext = {
    env,
    store,
    findLocalNetwork: options.findLocalNetwork ?? (() => Promise.resolve(undefined)),
    members: options.members ?? membersInStore(store),
    ...(options.credentials !== undefined && { credentials: options.credentials }),
  }
  return {
    createService: (args) => createService(context, args),
    updateService: (args) => updateService(context, args),
    rollbackService: (args) => rollbackService(context, args),
    removeService: (args) => removeService(context, args),
    requestRebalance: (args) => requestRebalance(context, args),
    updateNode: (args) => updateNode(context, args),
    removeNode: (args) => removeNode(context, args),
    createNetwork: (args) => createNetwork(context, args),
    removeNetwork: (args) => removeNetwork(context, args),
    createSecret: (args) => createSecret(context, args),
    updateSecret: (args) => updateSecret(context, args),
    removeSecret: (args) => removeSecret(context, args),
    createConfig: (args) => createConfig(context, args),
    updateConfig: (args) => updateConfig(context, args),
    removeConfig: (args) => removeConfig(context, args),
    createVolume: (args) => createVolume(context, args),
    updateVolume: (args) => updateVolume(context, args),
    removeVolume: (args) => removeVolume(context, args),
    updateSwarm: (args) => updateSwarm(context, args),
  }
}
