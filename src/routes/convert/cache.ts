/**
 * One encoded form per object version. Objects are immutable, so the object itself is the key, and what
 * nobody holds any more takes its encoded form along.
 */
export function cached<T extends object, R>(make: (object: T) => R): (object: T) => R {
  const made = new WeakMap<T, R>()
  return (object) => {
    let result = made.get(object)
    if (result === undefined) {
      result = make(object)
      made.set(object, result)
    }
    return result
  }
}
