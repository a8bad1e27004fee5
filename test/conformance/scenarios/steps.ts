import type { Step } from './play.js'

/** The states of a task in their order, with the messages that go with them. */
const messages: readonly (readonly [state: string, messages: readonly string[]])[] = [
  ['new', ['created']],
  ['pending', ['pending task scheduling']],
  ['assigned', ['scheduler assigned task to node', 'scheduler confirmed task can run on preassigned node']],
  ['accepted', ['accepted']],
  ['preparing', ['preparing']],
  ['ready', ['prepared']],
  ['starting', ['starting']],
  // The second: only skepd's.
  ['running', ['started', 'waits to be moved off its node, which is being drained']],
  ['complete', ['finished']],
  // The second: it was told to stop before it had a node.
  ['shutdown', ['shutdown', 'pending task scheduling']],
  ['failed', ['starting', 'started']],
  ['rejected', ['preparing']],
]

const errors: Readonly<Record<string, RegExp>> = {
  pending:
    /^(no suitable node \((1 node not available for new tasks|scheduling constraints not satisfied on 1 node)\))?$/,
  failed: /^task: non-zero exit \(\d+\)(: dockerexec: unhealthy container)?$/,
  rejected: /^No such image: nosuch:image$/,
}

/** The first step of a task that is not one of Docker's, or goes back; undefined where all is well. */
export function wrongStep(steps: readonly Step[]): Step | undefined {
  let last = 0
  for (const step of steps) {
    const at = messages.findIndex(([state]) => state === step.state)
    const known = messages[at]?.[1].includes(step.message) === true
    if (at < last || !known || !(errors[step.state] ?? /^$/).test(step.err)) return step
    last = at
  }
  return undefined
}
