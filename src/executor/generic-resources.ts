import type { GenericResource } from '../model/spec/index.js'

/**
 * Reads `--node-generic-resource` values: `GPU=uuid1` (a named one) or `SSD=3` (a number of them).
 * @throws {Error} for what is neither. Behaviour: moby/swarmkit api/genericresource/parse.go.
 */
export function parseGenericResources(texts: readonly string[]): readonly GenericResource[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => {
      const match = /^\s*([^=\s]+)=([^=\s]+)\s*$/.exec(text)
      const [, Kind = '', value = ''] = match ?? []
      if (match === null) throw new Error(`could not parse GenericResource: ${text}: want KIND=VALUE`)
      return /^-?\d+$/.test(value)
        ? { DiscreteResourceSpec: { Kind, Value: Number(value) } }
        : { NamedResourceSpec: { Kind, Value: value } }
    })
}

/** `key=value` texts as a record; the last one of a key wins. */
export function parseLabels(labels: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    labels.map((label) => {
      const at = label.indexOf('=')
      return at < 0 ? [label, ''] : [label.slice(0, at), label.slice(at + 1)]
    }),
  )
}
