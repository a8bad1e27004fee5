/**
 * Tries `attempt` again and again until it neither throws nor returns undefined or false, and resolves
 * with what it returned. After `timeoutMs` it fails, naming `what` and the last error.
 */
export async function eventually<T>(
  what: string,
  attempt: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 15_000,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await attempt()
      if (value !== undefined && value !== false) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > deadlineMs) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause: last })
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
