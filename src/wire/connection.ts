/**
 * A message connection between an agent and a manager, whatever carries it. Messages keep their borders
 * and their order; none is lost while the connection lives.
 */
export interface Connection {
  /** Queues a message. After the connection has closed it does nothing: `onClose` tells. */
  send(data: string | Uint8Array): void
  /** Bytes that `send` took and the network did not take yet. */
  readonly bufferedAmount: number
  /**
   * Ends the connection once what was queued is sent. The other side is told `code` (see `CloseCode`) and
   * `reason` (at most 123 bytes of UTF-8; longer ones are cut). May be called twice.
   */
  close(code: number, reason: string): void
  /** The one receiver of messages: text as string, binary as Buffer. What came before the call is kept for it. */
  onMessage(listener: (data: string | Buffer) => void): void
  /** Called once, also when the connection has closed already. */
  onClose(listener: (code: number, reason: string) => void): void
}

/** Why a connection was closed. Numbers below 4000 are WebSocket's own. */
export const CloseCode = {
  /** Orderly end of the process. */
  GoingAway: 1001,
  /** The connection broke. Never sent. */
  Broken: 1006,
  /** What came is not of this protocol. */
  BadMessage: 4400,
  /** The node may not do that. */
  Refused: 4403,
  /** This manager knows no such node. */
  NotFound: 4404,
  /** Nothing was heard for too long. */
  Silent: 4408,
  /** A newer session of the same node took over. */
  Replaced: 4409,
  /** The node was removed from the swarm and will never be let in again under its ID. */
  NodeRemoved: 4410,
  /** Another manager is to serve the session. */
  Elsewhere: 4421,
  /** None of the protocol versions is known to both. */
  Version: 4426,
  /** Too many sessions in a short time. */
  RateLimit: 4429,
  /** This manager does not lead, or no longer. Another one may. */
  NotLeader: 4503,
} as const

/** `reason` cut to what fits into a close frame, at a character border. */
export function closeReason(reason: string): string {
  let cut = reason
  while (Buffer.byteLength(cut) > 123) cut = cut.slice(0, -1)
  return cut
}
