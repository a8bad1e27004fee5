/** What the managers note of each other in the log, as a member's context: JSON. Raft itself does not look in. */
export interface MemberContext {
  readonly nodeId: string
  /** Where the member's cluster port is reached: `10.0.0.1:2377`. */
  readonly addr: string
}

export function encodeMemberContext({ nodeId, addr }: MemberContext): string {
  return JSON.stringify({ nodeId, addr })
}

/** @returns undefined for a context that some other version wrote. */
export function decodeMemberContext(text: string): MemberContext | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const { nodeId, addr } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  return typeof nodeId === 'string' && typeof addr === 'string' ? { nodeId, addr } : undefined
}
