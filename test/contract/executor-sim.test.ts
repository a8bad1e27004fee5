import { SimulatedEngine, SimWorld } from '../../src/engine/index.js'
import { silentLog } from '../../src/env/log.js'
import { systemEnv } from '../../src/env/system.js'
import { SimExecutor } from '../../src/executor/index.js'
import { executorSuite } from './executor-suite.js'
import { simBehaviours } from './sim-behaviours.js'

executorSuite('simulated engine', false, () => {
  const env = systemEnv(silentLog)
  const world = new SimWorld(env, { hostname: 'host1', cpus: 2, memoryBytes: 1e9 })
  const engine = new SimulatedEngine(env, world)
  return Promise.resolve({
    engine,
    image: 'busybox:latest',
    newExecutor: () => new SimExecutor(world),
    behaviours: simBehaviours,
    close: () => engine.close(),
  })
})
