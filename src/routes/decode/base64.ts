const alphabet = /^[A-Za-z0-9+/]$/

/**
 * Where Go's base64 decoder stumbles over `text`, or undefined where it does not. It skips line breaks.
 * Behaviour: encoding/base64, StdEncoding.
 */
export function base64Fault(text: string): number | undefined {
  // Nearly always: then single characters need no look.
  if (Buffer.from(text, 'base64').toString('base64') === text) return undefined
  let digits = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '\n' || char === '\r') continue
    if (char === '=') return paddingFault(text, at, digits % 4)
    if (!alphabet.test(char)) return byteIndex(text, at)
    digits++
  }
  return digits % 4 === 0 ? undefined : text.length - (digits % 4)
}

/** The first `=` stands at `at`, after `digits` characters of a group of four. */
function paddingFault(text: string, at: number, digits: number): number | undefined {
  if (digits < 2) return at
  let next = at + 1
  const skipBreaks = () => {
    while (text[next] === '\n' || text[next] === '\r') next++
  }
  if (digits === 2) {
    skipBreaks()
    if (next === text.length) return text.length
    if (text[next] !== '=') return next - 1
    next++
  }
  skipBreaks()
  return next === text.length ? undefined : next
}

function byteIndex(text: string, at: number): number {
  return Buffer.byteLength(text.slice(0, at))
}
