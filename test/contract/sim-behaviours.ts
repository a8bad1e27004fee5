import type { Behaviours } from './executor-suite.js'

const image = 'busybox:latest'
const labelled = (labels: Record<string, string>) => ({ Image: image, Labels: labels })
const check = { Healthcheck: { Test: ['CMD', 'check'] } }

/** The behaviours of the contract in the labels of the simulated engine. */
export const simBehaviours: Behaviours = {
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
}
