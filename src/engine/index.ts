export type { EngineRequest, EngineResponse, HostEngine } from './interface.js'
export { openEngine, type OpenEngineOptions } from './open.js'
export { SimulatedEngine } from './sim/engine.js'
export { SimWorld, type SimWorldOptions } from './sim/world.js'
