import type { SnapshotMetadata, StagedState, StateMachine } from '../../../src/raft/index.js'

/** A few registers and a hash of everything that ever happened to them. Never changed in place. */
export interface MachineState {
  readonly appliedIndex: number
  readonly hash: number
  readonly registers: Readonly<Record<string, string>>
}

export const emptyMachine: MachineState = { appliedIndex: 0, hash: 17, registers: {} }

export function mix(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193) >>> 0
}

export function mixBytes(hash: number, bytes: Uint8Array): number {
  let mixed = hash
  for (const byte of bytes) mixed = mix(mixed, byte)
  return mixed
}

export interface RegisterMachineOptions {
  readonly initial: MachineState
  readonly persist: (state: MachineState) => Promise<void>
  readonly onApply: (state: MachineState, index: number, term: number, data: Uint8Array) => void
  /** Bytes per piece of a snapshot. */
  readonly chunkBytes: number
}

/** The state machine of the simulation. Entries are JSON `{register, value}`. */
export class RegisterMachine implements StateMachine {
  readonly appliedIndex: number
  readonly #options: RegisterMachineOptions
  #state: MachineState

  constructor(options: RegisterMachineOptions) {
    this.#options = options
    this.#state = options.initial
    this.appliedIndex = options.initial.appliedIndex
  }

  get state(): MachineState {
    return this.#state
  }

  apply(index: number, term: number, data: Uint8Array): void {
    if (index <= this.#state.appliedIndex) throw new Error(`entry ${index} applied twice`)
    const { register, value } = JSON.parse(Buffer.from(data).toString()) as {
      register: string
      value: string
    }
    this.#state = {
      appliedIndex: index,
      hash: mixBytes(mix(mix(this.#state.hash, index), term), data),
      registers: { ...this.#state.registers, [register]: value },
    }
    this.#options.onApply(this.#state, index, term, data)
  }

  /** Writes the state as it is. Returns the index that may be compacted then. */
  async persist(): Promise<number> {
    const state = this.#state
    await this.#options.persist(state)
    return state.appliedIndex
  }

  async *#pieces(state: MachineState): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(JSON.stringify(state))
    for (let at = 0; at < bytes.length; at += this.#options.chunkBytes) {
      yield await Promise.resolve(bytes.subarray(at, at + this.#options.chunkBytes))
    }
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return this.#pieces(this.#state)
  }

  async restore(snapshot: SnapshotMetadata, content: AsyncIterable<Uint8Array>): Promise<StagedState> {
    const pieces: Uint8Array[] = []
    for await (const piece of content) pieces.push(piece)
    const state = JSON.parse(Buffer.concat(pieces).toString()) as MachineState
    if (state.appliedIndex > snapshot.index) throw new Error('snapshot is newer than it says')
    return {
      install: () => {
        // Later entries may have been no data: the state is that of the snapshot's index.
        this.#state = { ...state, appliedIndex: snapshot.index }
        return this.#options.persist(this.#state)
      },
      discard: () => undefined,
    }
  }
}
