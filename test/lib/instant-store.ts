import type { Env } from '../../src/env/env.js'
import { Store } from '../../src/store/store.js'

/** A store whose log takes everything at once and applies it in the next microtask. */
export function instantStore(env: Env): Store {
  let index = 0
  const store: Store = new Store(env, {
    propose(data) {
      const at = ++index
      queueMicrotask(() => store.apply(at, data))
      return at
    },
  })
  return store
}
