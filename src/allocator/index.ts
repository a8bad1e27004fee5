export { Allocator, allocatorLoop } from './allocator.js'
export { vxlanIdsOption } from './network-space.js'
