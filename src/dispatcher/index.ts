export { Dispatcher, type DispatcherOptions, type PeerIdentity } from './dispatcher.js'
