import type { Target } from './target.js'

/** One figure of the table. All are rates: more is better. */
export interface Measure {
  readonly name: string
  readonly unit: string
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

/**
 * Lets a daemon reach the speed that it has for all of its life but the first seconds: V8 compiles what runs
 * often. Leaves nothing behind.
 */
export async function warmUp(target: Target): Promise<void> {
  const names = Array.from({ length: 600 }, (_, index) => `warm-${index}`)
  for (const name of names) {
    await target.call('POST', '/services/create', spec(name, 1))
    await target.call('GET', '/services/warm-0')
  }
  for (const name of names) await target.call('DELETE', `/services/${name}`)
  while (((await target.json('GET', '/tasks')) as unknown[]).length > 0);
}

/**
 * What is measured, in this order: later ones build on the services of earlier ones. A target must be a
 * manager of an empty swarm.
 */
export function measures(clockMs: () => number): readonly Measure[] {
  /** Calls per second of `clients` callers that do `count` calls in all, each waiting for its answers. */
  const rate = async (count: number, clients: number, call: (index: number) => Promise<unknown>) => {
    let next = 0
    const startMs = clockMs()
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (next < count) await call(next++)
      }),
    )
    return (count * 1000) / (clockMs() - startMs)
  }
  const list = (path: string, calls: number) => async (target: Target) => {
    await target.call('GET', path)
    return rate(calls, 1, () => target.call('GET', path))
  }
  return [
    {
      name: 'GET /services, 10 services',
      unit: 'calls/s',
      run: async (target) => {
        for (let index = 0; index < 10; index++)
          await target.call('POST', '/services/create', spec(`ten-${index}`, 1))
        return list('/services', 500)(target)
      },
    },
    {
      name: 'service create, 1 client',
      unit: 'services/s',
      run: (target) =>
        rate(190, 1, (index) => target.call('POST', '/services/create', spec(`one-${index}`, 1))),
    },
    {
      name: 'service create, 64 clients',
      unit: 'services/s',
      run: (target) =>
        rate(800, 64, (index) => target.call('POST', '/services/create', spec(`many-${index}`, 1))),
    },
    { name: 'GET /services, 1000 services', unit: 'calls/s', run: list('/services', 30) },
    {
      name: 'GET /tasks, 10,000 tasks',
      unit: 'calls/s',
      run: async (target) => {
        await target.call('POST', '/services/create', spec('crowd', 9000))
        const want = 10_000
        let tasks = 0
        while (tasks < want) tasks = ((await target.json('GET', '/tasks')) as unknown[]).length
        return list('/tasks', 10)(target)
      },
    },
  ]
}
