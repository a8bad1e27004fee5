import type { MemberId, RaftDriver } from '../../../src/raft/index.js'
import { mayLead } from '../../../src/raft/core/index.js'
import type { SimulationContext } from './context.js'
import type { SimulatedMember } from './member.js'

/** Makes a host that is to become a member. */
export type NewMember = (isWitness: boolean) => SimulatedMember

/** Crashes, partitions, changes of leader and of members. */
export class Nemesis {
  readonly #sim: SimulationContext
  readonly #newMember: NewMember

  constructor(sim: SimulationContext, newMember: NewMember) {
    this.#sim = sim
    this.#newMember = newMember
  }

  strike(): void {
    const { chance, members, network } = this.#sim
    const running = [...members.values()].filter((member) => member.driver !== undefined)
    const leader = running.find((member) => member.leads)
    switch (chance.below(10)) {
      case 0:
      case 1:
        if (running.length > 0) chance.pick(running).crash()
        return
      case 2:
        leader?.crash()
        if (leader !== undefined) this.#tellGone(leader.id)
        return
      case 3:
        if (chance.perMille(300)) for (const member of running) member.crash()
        return
      case 4:
        network.part()
        return
      case 5:
        network.heal()
        return
      case 6:
        if (leader === undefined) return
        network.isolate(leader.id)
        // A word that is wrong.
        this.#tellGone(leader.id)
        return
      case 7:
        if (leader?.driver !== undefined) this.#transfer(leader.driver)
        return
      default:
        if (leader?.driver === undefined) return
        this.#changeMembers(leader.driver)
        // A second change before the first is committed must be refused.
        if (chance.perMille(300)) this.#changeMembers(leader.driver)
    }
  }

  #tellGone(id: MemberId): void {
    for (const { driver } of this.#sim.members.values()) driver?.reportGone(id)
  }

  #transfer(driver: RaftDriver): void {
    const { chance, oracle } = this.#sim
    const target = chance.perMille(500) ? chance.pick(driver.membership.members).id : undefined
    driver.transferLeadership(target).then(
      () => oracle.counts.transfers++,
      () => undefined,
    )
  }

  #changeMembers(driver: RaftDriver): void {
    const { chance } = this.#sim
    const { members } = driver.membership
    const learner = members.find((member) => member.kind === 'learner')
    const servers = members.filter(mayLead)
    if (learner !== undefined && chance.perMille(700)) {
      this.#change('promoted', learner.id, driver.promoteMember(learner.id))
    } else if (members.length < 6 && chance.perMille(servers.length < 4 ? 700 : 300)) {
      this.#add(driver, chance.perMille(300))
    } else if (members.length > 2) {
      this.#remove(driver, chance.pick(members).id)
    }
  }

  #add(driver: RaftDriver, isWitness: boolean): void {
    const { chance, clock, oracle } = this.#sim
    const added = this.#newMember(isWitness)
    const { id } = added
    if (!isWitness) {
      this.#change('added', id, driver.addMember(id, id))
    } else {
      this.#change('added', id, driver.addWitness(id, id), () => oracle.counts.witnesses++)
    }
    clock.after(chance.below(500), () => void added.start())
  }

  #remove(driver: RaftDriver, id: MemberId): void {
    const { chance, clock, members } = this.#sim
    this.#change('removed', id, driver.removeMember(id), () => {
      clock.after(chance.below(3000), () => members.get(id)?.retire())
    })
  }

  #change(what: string, id: MemberId, change: Promise<void>, onDone: () => void = () => undefined): void {
    change.then(
      () => {
        this.#sim.trace(what, id)
        this.#sim.oracle.counts.changes++
        onDone()
      },
      () => undefined,
    )
  }
}
