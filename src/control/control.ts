import type { ControlContext } from './context.js'
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
import { updateService } from './services/update.js'
import { updateSwarm } from './swarm.js'

/** The checked writes of the API on a store. Only the leader's can succeed. */
export function createControl(context: ControlContext): Control {
  return {
    createService: (args) => createService(context, args),
    updateService: (args) => updateService(context, args),
    removeService: (args) => removeService(context, args),
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
    updateSwarm: (args) => updateSwarm(context, args),
  }
}
