export { decodeAgentMessage, decodeManagerMessage, encodeMessage } from './codec.js'
export { CloseCode, closeReason, type Connection } from './connection.js'
export { decodeLogFrame, encodeLogFrame, type LogFrame, type NodeLogMessage } from './log-frame.js'
export {
  LogOptionsSchema,
  logWindowBytes,
  maxStatusTextLength,
  protocolVersion,
  type AgentMessage,
  type AssignmentChange,
  type AssignmentsMessage,
  type FileAssignment,
  type LogSubscribeMessage,
  type ManagerMessage,
  type SessionMessage,
  type SessionNode,
} from './messages.js'
export {
  decodeRelayFrame,
  encodeRelayFrame,
  type LostNode,
  type RelayedPeer,
  type RelayFrame,
} from './relay-frame.js'
export { wholeBuffer, webSocketConnection } from './web-socket-connection.js'
