/** One end of a binary message connection to another manager. Messages keep their borders and their order. */
export interface PeerConnection {
  /**
   * Queues a message; `onSent` is called when the network has taken it, or never will. On a connection that
   * has closed nothing is sent.
   */
  send(data: Uint8Array, onSent: () => void): void
  /** Ends the connection once what was queued is sent; the other side is told `code` and `reason`. */
  close(code: number, reason: string): void
  /** The one receiver of messages. What came before the call is kept for it. */
  onMessage(listener: (data: Uint8Array) => void): void
  /** Called once, also when the connection has closed already. */
  onClose(listener: (code: number, reason: string) => void): void
}

/** Why a connection between members was closed. The numbers are in the range for private use of WebSocket. */
export const PeerClose = {
  /** Orderly end of the process. */
  GoingAway: 1001,
  /** The connection broke. Never sent. */
  Broken: 1006,
  /** What came is not of this protocol. */
  BadMessage: 4400,
  /** The other end is not the member that it says, or is looking for another one. */
  Refused: 4403,
  /** Nothing was heard for too long. */
  Silent: 4408,
  /** A newer connection of the same member took over. */
  Replaced: 4409,
  /** The other end was removed from the members, for good. */
  Removed: 4410,
  /** The member is starting or stopping. */
  NotReady: 4503,
} as const
