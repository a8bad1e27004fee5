import { SwarmError } from './errors.js'
import type { Node } from './objects.js'
import type { PlacementPreference } from './spec/index.js'

/** How the nodes that take a task are ranked. */
export const strategies = ['spread', 'binpack', 'random'] as const
export type Strategy = (typeof strategies)[number]

export type RebalanceMode = 'auto' | 'off'

/** Services, by whole name or by a label of theirs. */
export type ServiceSelector =
  { readonly name: string } | { readonly label: string; readonly value: string | undefined }

/** One wish for company, or against it. */
export interface AffinityTerm {
  readonly selector: ServiceSelector
  /** Only a wish: nodes that meet it come first. Otherwise other nodes are refused. */
  readonly preferred: boolean
  /** As the user wrote it, without `prefer`. */
  readonly text: string
}

/** What the `skep.*` labels of a service say about where its tasks run. */
export interface PlacementLabels {
  readonly strategy?: Strategy
  readonly rebalance?: RebalanceMode
  readonly affinity: readonly AffinityTerm[]
  readonly antiAffinity: readonly AffinityTerm[]
}

type Labels = Readonly<Record<string, string>>
type Reader = (value: string) => Partial<PlacementLabels> | undefined

const wantsTerms = 'comma-separated service names or labels of services (web, tier=cache, prefer batch)'

/** Each label: what it wants, for the error text, and how to read it. */
const readers: Readonly<Record<string, { readonly wants: string; readonly read: Reader }>> = {
  'skep.affinity': { wants: wantsTerms, read: (value) => wrap('affinity', readTerms(value)) },
  'skep.anti-affinity': { wants: wantsTerms, read: (value) => wrap('antiAffinity', readTerms(value)) },
  'skep.placement.strategy': {
    wants: strategies.join(', '),
    read(value) {
      const strategy = strategies.find((known) => known === value)
      return strategy && { strategy }
    },
  },
  'skep.rebalance': {
    wants: 'auto or off',
    read: (value) => (value === 'auto' || value === 'off' ? { rebalance: value } : undefined),
  },
}

/** Labels of services that say where tasks run. */
export const placementLabelNames: readonly string[] = Object.keys(readers)

/** Labels of the swarm's spec: what services do that say nothing themselves. */
export const swarmLabelNames: readonly string[] = ['skep.placement.strategy', 'skep.rebalance']

const nothing: PlacementLabels = { affinity: [], antiAffinity: [] }

/**
 * Reads the labels of a service, or of the swarm. Others are ignored.
 * @throws {SwarmError} InvalidArgument for a value that cannot be read.
 */
export function parsePlacementLabels(labels: Labels): PlacementLabels {
  let placement = nothing
  for (const [name, reader] of Object.entries(readers)) {
    const value = labels[name]
    if (value === undefined) continue
    const read = reader.read(value)
    if (read === undefined) {
      throw new SwarmError('InvalidArgument', `invalid label ${name}=${value}: want ${reader.wants}`)
    }
    placement = { ...placement, ...read }
  }
  return placement
}

const read = new WeakMap<Labels, PlacementLabels>()

/** Like `parsePlacementLabels` for labels that were checked before they were stored; what cannot be read counts as absent. */
export function placementOf(labels: Labels | undefined): PlacementLabels {
  if (labels === undefined) return nothing
  let placement = read.get(labels)
  if (placement === undefined) {
    placement = nothing
    for (const [name, reader] of Object.entries(readers)) {
      placement = { ...placement, ...reader.read(labels[name] ?? '') }
    }
    read.set(labels, placement)
  }
  return placement
}

/** Whether a selector means the service of that name and those labels. */
export function selects(selector: ServiceSelector, name: string, labels: Labels | undefined): boolean {
  if ('name' in selector) return selector.name === name
  const value = labels?.[selector.label]
  return value !== undefined && (selector.value === undefined || selector.value === value)
}

function wrap(
  field: 'affinity' | 'antiAffinity',
  terms: readonly AffinityTerm[] | undefined,
): Partial<PlacementLabels> | undefined {
  return terms && { [field]: terms }
}

const namePattern = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/
const labelPattern = /^[^\s=,]+$/

/** `web, tier=cache, prefer tier=*`: undefined where it cannot be read. */
function readTerms(value: string): readonly AffinityTerm[] | undefined {
  const terms: AffinityTerm[] = []
  for (const part of value.split(',')) {
    const [, prefer, text = ''] = /^\s*(prefer\s+)?(\S+)\s*$/.exec(part) ?? []
    const selector = readSelector(text)
    if (selector === undefined) return undefined
    terms.push({ selector, preferred: prefer !== undefined, text })
  }
  return terms
}

function readSelector(text: string): ServiceSelector | undefined {
  const at = text.indexOf('=')
  if (at < 0) return namePattern.test(text) ? { name: text } : undefined
  const label = text.slice(0, at)
  const value = text.slice(at + 1)
  if (!labelPattern.test(label) || value === '') return undefined
  return { label, value: value === '*' ? undefined : value }
}

/** The labels to spread over, such as `node.labels.dc`, outermost first. Docker skips all others. */
export function spreadDescriptors(
  preferences: readonly PlacementPreference[] | undefined,
): readonly string[] {
  return (preferences ?? [])
    .map(({ Spread }) => Spread?.SpreadDescriptor ?? '')
    .filter((descriptor) => /^(node|engine)\.labels\../i.test(descriptor))
}

/** Which branch of a label to spread over a node is in; nodes without the label are one branch. */
export function spreadValue(descriptor: string, node: Node): string {
  const [owner = '', , ...name] = descriptor.split('.')
  const labels = owner.toLowerCase() === 'node' ? node.spec.Labels : node.description?.Engine?.Labels
  return labels?.[name.join('.')] ?? ''
}
