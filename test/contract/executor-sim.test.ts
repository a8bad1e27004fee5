import { SimulatedEngine, SimWorld } from '../../src/engine/index.js'
import { silentLog } from '../../src/env/log.js'
import { systemEnv } from '../../src/env/system.js'
import { SimExecutor } from '../../src/executor/index.js'
import { executorSuite } from './executor-suite.js'

executorSuite('simulated engine', false, () => {
  const env = systemEnv(silentLog)
  const world = new SimWorld(env, { hostname: 'host1', cpus: 2, memoryBytes: 1e9 })
  const engine = new SimulatedEngine(env, world)
  const image = 'busybox:latest'
  const labelled = (labels: Record<string, string>) => ({ Image: image, Labels: labels })
  const check = { Healthcheck: { Test: ['CMD', 'check'] } }
  return Promise.resolve({
    engine,
    image,
    newExecutor: () => new SimExecutor(world),
    behaviours: {
      polite: { Image: image },
      stubborn: labelled({ 'skep.sim.stop': '1h' }),
      unstartable: labelled({ 'skep.sim.start': 'fail' }),
      healthy: { ...labelled({ 'skep.sim.health': 'healthy@50ms' }), ...check },
      unhealthy: {
        ...labelled({ 'skep.sim.health': 'unhealthy@100ms', 'skep.sim.stop': '1h' }),
        ...check,
        StopGracePeriod: 1e9,
      },
      talking: labelled({ 'skep.sim.log': 'line@50ms' }),
      imageless: { Image: 'nosuch:latest', Labels: { 'skep.sim.pull': 'fail' } },
    },
    close: () => engine.close(),
  })
})
