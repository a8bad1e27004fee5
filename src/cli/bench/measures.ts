import type { Target } from './target.js'

/** One figure of the table. All are rates: more is better. */
export interface Measure {
  readonly name: string
  readonly unit: string
  /** How many times dockerd's figure skepd's is to be. */
  readonly goal?: number
  readonly run: (target: Target) => Promise<number>
}

/** Keeps tasks from running anywhere, so that no container start is measured. */
const nowhere = { Constraints: ['node.labels.skep-bench==nowhere'] }

function spec(name: string, replicas: number) {
  return {
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: 'busybox:latest', Args: ['sleep', '1000'] }, Placement: nowhere },
    Mode: { Replicated: { Replicas: replicas } },
  }
}

const manyClients = 64
/** Enough for a daemon never to wait for a client. */
const listClients = 4

/** Does `count` calls by `clients` callers, each waiting for its answers. */
async function inParallel(count: number, clients: number, call: (index: number) => Promise<unknown>) {
  let next = 0
  const caller = async () => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: clients }, caller))
}

function createServices(target: Target, prefix: string, count: number, clients: number): Promise<void> {
  return inParallel(count, clients, (index) =>
    target.call('POST', '/services/create', spec(`${prefix}-${index}`, 1)),
  )
}

async function removeServices(target: Target, prefix: string, count: number): Promise<void> {
  await inParallel(count, manyClients, (index) => target.call('DELETE', `/services/${prefix}-${index}`))
  while ((await countTasks(target)) > 0);
}

async function countTasks(target: Target): Promise<number> {
  return ((await target.json('GET', '/tasks')) as unknown[]).length
}

/**
 * Lets a daemon reach the speed that it has for all of its life but the first seconds: V8 compiles what runs
 * often. Leaves nothing behind.
 */
export async function warmUp(target: Target): Promise<void> {
  await createServices(target, 'warm', 1000, 1)
  await inParallel(500, listClients, () => target.call('GET', '/services/warm-0'))
  for (let round = 0; round < 20; round++) {
    await target.call('GET', '/services')
    await target.call('GET', '/tasks')
  }
  await removeServices(target, 'warm', 1000)
  await createServices(target, 'warm', 1000, manyClients)
  await removeServices(target, 'warm', 1000)
}

/**
 * What is measured, in this order: later ones build on the services of earlier ones. A target must be a
 * manager of an empty swarm.
 */
export function measures(clockMs: () => number): readonly Measure[] {
  const rate = async (count: number, work: () => Promise<unknown>) => {
    const startMs = clockMs()
    await work()
    return (count * 1000) / (clockMs() - startMs)
  }
  const creation = (prefix: string, count: number, clients: number) => async (target: Target) => {
    const figure = await rate(count, () => createServices(target, prefix, count, clients))
    await removeServices(target, prefix, count)
    return figure
  }
  const list = async (target: Target, path: string, calls: number) => {
    await target.call('GET', path)
    return rate(calls, () => inParallel(calls, listClients, () => target.call('GET', path)))
  }
  return [
    {
      name: 'service create, 1 client',
      unit: 'services/s',
      goal: 2,
      run: creation('one', 500, 1),
    },
    {
      name: `service create, ${manyClients} clients`,
      unit: 'services/s',
      goal: 2,
      run: creation('many', 3000, manyClients),
    },
    {
      name: 'GET /services, 10 services',
      unit: 'calls/s',
      goal: 4,
      run: async (target) => {
        await createServices(target, 'ten', 10, 1)
        return list(target, '/services', 2000)
      },
    },
    {
      name: 'GET /services, 1000 services',
      unit: 'calls/s',
      goal: 4,
      run: async (target) => {
        await createServices(target, 'thousand', 990, manyClients)
        return list(target, '/services', 60)
      },
    },
    {
      name: 'GET /tasks, 10,000 tasks',
      unit: 'calls/s',
      goal: 4,
      run: async (target) => {
        await target.call('POST', '/services/create', spec('crowd', 9000))
        while ((await countTasks(target)) < 10_000);
        return list(target, '/tasks', 20)
      },
    },
  ]
}
