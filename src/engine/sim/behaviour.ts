import { defaultSimBehaviour, parseSimLabels, type SimBehaviour } from '../../model/sim-labels.js'

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

const sleepUnitMs: Readonly<Record<string, number>> = { '': 1e3, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }

/**
 * What a plain command does: `true`, `false`, `sleep N`, `sh -c "exit N"`. Undefined for everything else,
 * which then runs until it is stopped.
 */
export function plainCommandExit(argv: readonly string[]): SimBehaviour['exit'] {
  const [command = '', ...args] = argv
  switch (baseName(command)) {
    case 'true':
      return { code: 0, afterMs: 0 }
    case 'false':
      return { code: 1, afterMs: 0 }
    case 'sleep': {
      let afterMs = 0
      for (const arg of args) {
        const match = /^(\d+(?:\.\d*)?|\.\d+)([smhd]?)$/.exec(arg)
        if (match === null) return undefined
        afterMs += Number(match[1]) * (sleepUnitMs[match[2] ?? ''] ?? 0)
      }
      return args.length === 0 ? { code: 1, afterMs: 0 } : { code: 0, afterMs }
    }
    case 'sh':
    case 'bash':
    case 'ash': {
      if (args.length !== 2 || args[0] !== '-c') return undefined
      const script = (args[1] ?? '').trim()
      const match = /^exit(?:\s+(\d+))?$/.exec(script)
      if (match !== null) return { code: Number(match[1] ?? 0) & 255, afterMs: 0 }
      const words = script.replace(/^exec\s+/, '').split(/\s+/)
      // Only words that a shell would leave alone: no quotes, lists, pipes or variables.
      if (!words.every((word) => /^[\w./-]+$/.test(word)) || words[0] === 'sh') return undefined
      return plainCommandExit(words)
    }
    default:
      return undefined
  }
}

/**
 * How a container behaves: its labels first, then its command, then the defaults.
 * @throws {SwarmError} InvalidArgument for `skep.sim.*` labels that cannot be read.
 */
export function simBehaviour(
  labels: Readonly<Record<string, string>>,
  argv: readonly string[],
): SimBehaviour {
  const fromLabels = parseSimLabels(labels)
  const exit = fromLabels.exit ?? plainCommandExit(argv)
  return { ...defaultSimBehaviour, ...(exit === undefined ? {} : { exit }), ...fromLabels }
}
