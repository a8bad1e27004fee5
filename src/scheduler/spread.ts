/** A leaf of the tree that tasks are spread over. */
export interface SpreadLeaf {
  /** Places up to `count` tasks. @returns how many found a node. */
  place(count: number): number
}

/** A branch with all nodes that have one value of a label. */
export interface Branch {
  /** Tasks of the service below this branch that are meant to run. */
  tasks: number
  readonly children: Map<string, Branch>
  /** Absent on branches whose nodes all fail the filters. */
  leaf?: SpreadLeaf
}

export function newBranch(): Branch {
  return { tasks: 0, children: new Map() }
}

/** The branch at `path` below `root`, made where it is missing, with `tasks` more tasks along the way. */
export function branchAt(root: Branch, path: readonly string[], tasks: number): Branch {
  let branch = root
  branch.tasks += tasks
  for (const value of path) {
    let child = branch.children.get(value)
    if (child === undefined) branch.children.set(value, (child = newBranch()))
    child.tasks += tasks
    branch = child
  }
  return branch
}

/**
 * Places `count` tasks below `branch` so that its children come to equal numbers of tasks, as far as
 * their nodes take them: the emptiest children are filled up to a common level first.
 * @returns how many were placed.
 * Behaviour: moby/swarmkit manager/scheduler/scheduler.go, scheduleNTasksOnSubtree, which however may give
 * a branch more than its share while another is above the average.
 */
export function distribute(branch: Branch, count: number): number {
  if (branch.children.size === 0) {
    const placed = branch.leaf?.place(count) ?? 0
    branch.tasks += placed
    return placed
  }
  let usable = [...branch.children.values()]
  let left = count
  while (left > 0 && usable.length > 0) {
    const full = new Set<Branch>()
    for (const { child, share } of shares(usable, left)) {
      const placed = distribute(child, share)
      left -= placed
      if (placed < share) full.add(child)
    }
    if (full.size === 0) break
    usable = usable.filter((child) => !full.has(child))
  }
  branch.tasks += count - left
  return count - left
}

/** How many of `count` tasks each child gets so that the emptiest come to one level. Sums up to `count`. */
function shares(children: readonly Branch[], count: number): { child: Branch; share: number }[] {
  const sorted = children.toSorted((a, b) => a.tasks - b.tasks)
  let total = count
  let filled = 0
  for (const child of sorted) {
    // A child at or above the level that the emptier ones come to gets nothing, and so do all after it.
    if (filled > 0 && child.tasks * filled >= total) break
    total += child.tasks
    filled++
  }
  const level = Math.floor(total / filled)
  const remainder = total % filled
  return sorted
    .slice(0, filled)
    .map((child, at) => ({ child, share: level + (at < remainder ? 1 : 0) - child.tasks }))
    .filter(({ share }) => share > 0)
}
