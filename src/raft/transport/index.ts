export { PeerClose, type PeerConnection } from './connection.js'
export type { Dial } from './dialing.js'
export { PeerTransport, type PeerTransportOptions, type Receiver } from './peer-transport.js'
