export { decodeAgentMessage, decodeManagerMessage, encodeMessage } from './codec.js'
export { CloseCode, closeReason, type Connection } from './connection.js'
export { decodeLogFrame, encodeLogFrame, type LogFrame, type NodeLogMessage } from './log-frame.js'
export {
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
export { webSocketConnection } from './web-socket-connection.js'
