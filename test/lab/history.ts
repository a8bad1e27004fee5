/** A register as a manager shows it: a config whose labels hold a number that each update raises by one. */
export interface Shown {
  readonly version: number
  readonly count: number
}

/** What the answer to an update must not fall short of. */
type Floor = Shown

/**
 * One object that clients update by compare-and-swap. Whoever raises its number says from which version; so
 * each version has one number, and what was seen once is the least that everybody sees from then on.
 */
class Register {
  readonly id: string
  readonly #report: (text: string) => void
  readonly #counts = new Map<number, number>()
  /** Versions from which an update was acknowledged. */
  readonly #left = new Set<number>()
  #floor: Floor = { version: 0, count: 0 }
  #open = 0

  constructor(id: string, report: (text: string) => void) {
    this.id = id
    this.#report = report
  }

  /** To be taken before a read is sent. */
  get floor(): Floor {
    return this.#floor
  }

  read(where: string, floor: Floor, shown: Shown): void {
    const text = `${where}: register ${this.id} shows ${shown.count} in version ${shown.version}`
    if (shown.version < floor.version || shown.count < floor.count) {
      this.#report(`${text}, after ${floor.count} in version ${floor.version} was known`)
    }
    const known = this.#counts.get(shown.version)
    if (known !== undefined && known !== shown.count) this.#report(`${text}, and somewhere else ${known}`)
    this.#counts.set(shown.version, shown.count)
    this.#raise(shown)
  }

  acknowledged(where: string, before: Shown): void {
    if (this.#left.has(before.version)) {
      this.#report(`${where}: register ${this.id} was updated twice from version ${before.version}`)
    }
    this.#left.add(before.version)
    this.#raise({ version: before.version + 1, count: before.count + 1 })
  }

  /** The call broke: nobody knows whether it was done. */
  unanswered(): void {
    this.#open++
  }

  /** With no call under way: every acknowledged update counts once, and nothing else but open ones. */
  settle(where: string, shown: Shown): void {
    this.read(where, this.#floor, shown)
    const least = this.#left.size
    if (shown.count < least || shown.count > least + this.#open) {
      const updates = `${least} updates were acknowledged and ${this.#open} are open`
      this.#report(`${where}: register ${this.id} shows ${shown.count}, but ${updates}`)
    }
  }

  #raise({ version, count }: Shown): void {
    this.#floor = {
      version: Math.max(this.#floor.version, version),
      count: Math.max(this.#floor.count, count),
    }
  }
}

export type { Register }

/**
 * What clients of a cluster did and saw. It happens in one process, so the order of the calls here is the order
 * in time; whatever contradicts a cluster that behaves as one machine is a violation.
 */
export class History {
  readonly violations: string[] = []
  /** Texts with which calls were refused, and how often. */
  readonly refusals = new Map<string, number>()
  readonly #created: string[] = []
  readonly #registers = new Map<string, Register>()
  readonly #versions = new Map<string, number>()

  get registers(): readonly Register[] {
    return [...this.#registers.values()]
  }

  addRegister(id: string): void {
    this.#registers.set(id, new Register(id, (text) => this.report(text)))
  }

  report(text: string): void {
    this.violations.push(text)
  }

  refused(text: string): void {
    this.refusals.set(text, (this.refusals.get(text) ?? 0) + 1)
  }

  created(name: string): void {
    this.#created.push(name)
  }

  /** Names of which the creation was acknowledged, oldest first. To be taken before a read is sent. */
  get createdCount(): number {
    return this.#created.length
  }

  createdAt(index: number): string | undefined {
    return this.#created[index]
  }

  /** A whole list that was asked for when `createdCount` names were acknowledged. */
  listed(
    where: string,
    createdCount: number,
    objects: readonly { id: string; name: string; version: number }[],
  ): void {
    const names = new Set(objects.map(({ name }) => name))
    for (const name of this.#created.slice(0, createdCount)) {
      if (!names.has(name)) this.report(`${where}: ${name} was acknowledged and is not there`)
    }
    for (const { id, name, version } of objects) {
      const known = this.#versions.get(id) ?? 0
      if (version < known) this.report(`${where}: ${name} went back from version ${known} to ${version}`)
      this.#versions.set(id, Math.max(version, known))
    }
  }
}
