import { parseArgs, type ParseArgsConfig } from 'node:util'

type FlagConfig = NonNullable<ParseArgsConfig['options']>

const commonFlags = {
  help: { type: 'boolean', short: 'h' },
  format: { type: 'string', default: 'text' },
} as const satisfies FlagConfig

/**
 * Reads the flags of a command, which always has `--help` and `--format text|json`.
 * @throws {Error} in one line, for unknown flags, missing values, arguments beside the flags, other formats.
 */
export function parseFlags<const T extends FlagConfig>(args: readonly string[], flags: T) {
  const { values, format } = parseCommand(args, flags, { least: 0, most: 0 })
  return { values, format }
}

/**
 * The same for commands with arguments beside the flags.
 * @throws {Error} as `parseFlags`, and where there are too few or too many arguments.
 */
export function parseCommand<const T extends FlagConfig>(
  args: readonly string[],
  flags: T,
  count: { readonly least: number; readonly most: number },
) {
  const { values, positionals, format } = parse(args, flags, count.most > 0)
  if (positionals.length < count.least) throw new Error(`wants ${argumentsText(count.least)}`)
  if (positionals.length > count.most) throw new Error(`takes no more than ${argumentsText(count.most)}`)
  if (format !== 'text' && format !== 'json') {
    throw new Error(`invalid --format "${String(format)}": must be text or json`)
  }
  return { values, positionals, format: format === 'json' ? ('json' as const) : ('text' as const) }
}

function argumentsText(count: number): string {
  return count === 1 ? '1 argument' : `${count} arguments`
}

function parse<const T extends FlagConfig>(args: readonly string[], flags: T, allowPositionals: boolean) {
  try {
    const options = { ...flags, ...commonFlags }
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals })
    return { values, positionals, format: (values as { readonly format?: unknown }).format }
  } catch (error) {
    // Node.js goes on with advice on how to pass positional arguments, of which there are none here.
    const [text = ''] = (error as Error).message.split('. ')
    throw new Error(text, { cause: error })
  }
}

/** @throws {Error} when `text` is no whole number of at least `least`. */
export function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) {
    throw new Error(`invalid --${flag} "${text}": must be a whole number, at least ${least}`)
  }
  return value
}

const unitBytes: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

/**
 * `1073741824`, `512m`, `2GiB`: as Docker's memory flags, units are powers of 1024.
 * @throws {Error} for what is no size above 0.
 */
export function memorySize(flag: string, text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? []
  const bytes = Math.round(Number(digits) * (unitBytes[unit.toLowerCase()] ?? 0))
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new Error(`invalid --${flag} "${text}": must be a size such as 536870912, 512m or 2g`)
  }
  return bytes
}
