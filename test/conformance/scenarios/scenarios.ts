import type { Actor } from './actor.js'

/** What a user does to one service, the same on every daemon. */
export interface Scenario {
  readonly name: string
  readonly run: (actor: Actor) => Promise<void>
}

const forever = ['busybox:latest', 'sleep', '100000']
const fails = ['busybox:latest', 'sh', '-c', 'exit 3']
/** Serves after a moment, as the health check sees it. */
const healthy = ['busybox:latest', 'sh', '-c', 'sleep 0.5; touch /tmp/ok; exec sleep 100000']
const check = (command: string) => [
  `--health-cmd=${command}`,
  ...'--health-interval=200ms --health-retries=3 --health-start-period=0s'.split(' '),
]
const once = ['--restart-condition', 'none']
/** The failure comes before the next slot's turn, however slow the machine is. */
const slowly = ['--update-delay', '20s', '--update-monitor', '20s']

export const scenarios: readonly Scenario[] = [
  {
    name: '2.1 create, scale up and down',
    run: async (a) => {
      await a.create(['--replicas', '2'], forever)
      await a.service('scale', [`${a.name}=4`])
      await a.service('scale', [`${a.name}=1`])
      await a.settled(({ running, live }) => running === 1 && live === 1)
    },
  },
  {
    name: '6.6 update one by one',
    run: async (a) => {
      await a.create(['--replicas', '3'], forever)
      await a.update(['--env-add', 'A=1'])
    },
  },
  {
    name: '6.16 update that pauses',
    run: async (a) => {
      await a.create(['--replicas', '3', ...once], forever)
      await a.update([...slowly, '--args', 'false'])
      await a.update(['--update-delay', '0s', '--update-monitor', '1s', '--args', 'sleep 100000'])
    },
  },
  {
    name: '6.18 update that rolls back',
    run: async (a) => {
      await a.create(['--replicas', '2', ...once, '--update-failure-action', 'rollback'], forever)
      await a.update([...slowly, '--args', 'false'])
    },
  },
  {
    name: '6.17 update that continues',
    run: async (a) => {
      await a.create(['--replicas', '2', ...once, '--update-failure-action', 'continue'], forever)
      await a.update(['--args', 'false'])
      await a.settled(({ failed }) => failed === 2)
    },
  },
  {
    name: '6.20 rollback by hand, twice',
    run: async (a) => {
      await a.create([], forever)
      await a.update(['--env-add', 'A=1'])
      await a.service('rollback', [a.name])
      await a.service('rollback', [a.name])
    },
  },
  {
    name: '2.14 start-first with a health check',
    run: async (a) => {
      await a.create(['--update-order', 'start-first', ...check('cat /tmp/ok')], healthy)
      await a.update(['--force'])
    },
  },
  {
    name: '2.14 unhealthy after an update',
    run: async (a) => {
      await a.create([...once, ...check('true')], forever)
      await a.update([...slowly, '--health-cmd', 'false'])
    },
  },
  {
    name: '7.2 attempts that are used up',
    run: async (a) => {
      const policy = [
        '--restart-condition',
        'on-failure',
        '--restart-max-attempts',
        '2',
        '--restart-delay',
        '50ms',
      ]
      await a.create(['--detach', ...policy], fails)
      await a.settled(({ failed }) => failed === 3)
    },
  },
  {
    name: '7.5 a container that somebody kills',
    run: async (a) => {
      await a.create(['--restart-delay', '100ms'], forever)
      await a.killContainer()
      await a.settled(({ failed, running }) => failed === 1 && running === 1)
    },
  },
  {
    name: '7.1 a task that completes',
    run: async (a) => {
      await a.create(['--detach', '--restart-condition', 'on-failure'], ['busybox:latest', 'true'])
      await a.settled(({ complete }) => complete === 1)
    },
  },
  {
    name: '2.6 an image that is not there',
    run: async (a) => {
      await a.create(['--detach', ...once], ['nosuch:image'])
      await a.settled(({ rejected }) => rejected === 1)
    },
  },
  {
    name: '9.6 constraints that no node meets',
    run: async (a) => {
      await a.create(['--detach', '--constraint', 'node.labels.zone==moon'], forever)
      await a.settled(({ pending }) => pending === 1)
      await a.update(['--constraint-rm', 'node.labels.zone==moon'])
    },
  },
  {
    name: '5.2 a replicated job',
    run: async (a) => {
      await a.create(
        ['--mode', 'replicated-job', '--replicas', '3', '--max-concurrent', '2'],
        ['busybox:latest', 'true'],
      )
    },
  },
  {
    name: '5.1 a global job, run again',
    run: async (a) => {
      await a.create(['--mode', 'global-job'], ['busybox:latest', 'true'])
      await a.update(['--force', '--detach'])
      await a.settled(({ complete, live }) => complete >= 1 && live === 1)
    },
  },
  {
    name: '5.5 a job that fails once and for all',
    run: async (a) => {
      await a.create(['--detach', '--mode', 'replicated-job', ...once], fails)
      await a.settled(({ failed }) => failed === 1)
    },
  },
  {
    name: '4.1 a global service',
    run: async (a) => {
      await a.create(['--mode', 'global'], forever)
      await a.update(['--force'])
    },
  },
]

/** What concerns the whole node: one after the other. */
export const nodeScenarios: readonly Scenario[] = [
  {
    name: '3.8 drain and back',
    run: async (a) => {
      await a.create(['--replicas', '2', '--update-parallelism', '0'], forever)
      await a.node('drain')
      await a.settled(({ running, pending, stopped }) => running === 0 && pending === 2 && stopped === 2)
      await a.node('active')
      await a.settled(({ running }) => running === 2)
    },
  },
  {
    name: '3.8 drain of a service that is updated one by one',
    run: async (a) => {
      await a.node('active')
      await a.create(['--replicas', '2'], forever)
      await a.node('drain')
      await a.settled(({ pending, stopped }) => pending >= 1 && stopped === pending)
    },
  },
  {
    name: '3.10 drain of a service that is never restarted',
    run: async (a) => {
      await a.node('active')
      await a.create(once, forever)
      await a.node('drain')
      await a.settled(({ stopped }) => stopped === 1)
    },
  },
  {
    name: '4.1, 4.3 a global service on a drained node',
    run: async (a) => {
      await a.node('active')
      await a.create(['--mode', 'global'], forever)
      await a.node('drain')
      await a.settled(({ live, stopped }) => live === 0 && stopped === 1)
      await a.node('active')
      await a.settled(({ running }) => running === 1)
    },
  },
  {
    name: '9.2 pause and back',
    run: async (a) => {
      await a.create([], forever)
      await a.node('pause')
      await a.service('scale', ['--detach', `${a.name}=2`])
      await a.settled(({ running, pending }) => running === 1 && pending === 1)
      await a.node('active')
      await a.settled(({ running }) => running === 2)
    },
  },
]
