/**
 * Where transactions go to become durable. Raft implements it; tests fake it.
 */
export interface Proposer {
  /**
   * Appends an entry to the log and returns its index at once. Every entry that is committed comes back,
   * in the order of the log, as `Store.apply(index, data)` with the very same `Uint8Array` where it was
   * proposed here.
   * @throws {SwarmError} Unavailable when this member does not lead.
   */
  propose(data: Uint8Array): number
}
