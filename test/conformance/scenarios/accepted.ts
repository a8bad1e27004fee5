/** A scenario whose slots end otherwise on skepd, on purpose. */
export interface AcceptedScenario {
  /** Unique; the row of docs/differences.md carries it. */
  readonly name: string
  readonly docker: readonly (readonly string[])[]
  readonly skep: readonly (readonly string[])[]
}

const stopped = "shutdown shutdown 'shutdown' '' exit 137"
const waiting =
  "running pending 'pending task scheduling' 'no suitable node (1 node not available for new tasks)'"

/** By the name of the scenario. */
export const acceptedScenarios: ReadonlyMap<string, AcceptedScenario> = new Map([
  [
    '3.8 drain of a service that is updated one by one',
    {
      name: 'drain-slot-by-slot',
      docker: [
        [stopped, waiting],
        [stopped, waiting],
      ],
      skep: [
        ["running running 'waits to be moved off its node, which is being drained' '' exit 0"],
        [stopped, waiting],
      ],
    },
  ],
  [
    '3.10 drain of a service that is never restarted',
    { name: 'drained-tasks-are-replaced', docker: [[stopped]], skep: [[stopped, waiting]] },
  ],
])
