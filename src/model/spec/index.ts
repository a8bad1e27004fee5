/**
 * What users write, in Docker's spelling: TypeBox schemas and the types that follow from them. How to read
 * the annotations stands in schema.ts.
 */
export * from './container-spec.js'
export * from './driver.js'
export * from './mount.js'
export * from './network-spec.js'
export * from './node-spec.js'
export * from './resources.js'
export * from './secret-spec.js'
export * from './service-spec.js'
export * from './swarm-spec.js'
export * from './task-spec.js'
export * from './volume-spec.js'
export { canonical } from './canonical.js'
export { componentName, type Spec } from './schema.js'
