import { SwarmError } from '../../model/errors.js'

/** The newest API version that Skep speaks; what a request without a version gets. */
export const maxApiVersion = '1.56'
/** The oldest one. Docker's own default is newer; its daemon can be told to go down to this. */
export const minApiVersion = '1.24'

/** Errors of older versions are plain text. */
const firstVersionWithJsonErrors = '1.24'

/** Compares dotted versions number by number: 1.9 < 1.10 < 1.41 < 1.41.5. Negative when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.')
  const right = b.split('.')
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = Number(left[at] ?? 0) - Number(right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

export function isOlderThan(version: string, other: string): boolean {
  return version !== other && compareVersions(version, other) < 0
}

export function hasPlainTextErrors(version: string): boolean {
  return isOlderThan(version, firstVersionWithJsonErrors)
}

/**
 * Refuses a version that Skep does not speak.
 * @throws {SwarmError} InvalidArgument. Texts: moby daemon/server/middleware/version.go.
 */
export function checkVersionRange(version: string): void {
  if (version === maxApiVersion) return
  if (isOlderThan(version, minApiVersion)) {
    throw new SwarmError(
      'InvalidArgument',
      `client version ${version} is too old. Minimum supported API version is ${minApiVersion}, please upgrade your client to a newer version`,
    )
  }
  if (isOlderThan(maxApiVersion, version)) {
    throw new SwarmError(
      'InvalidArgument',
      `client version ${version} is too new. Maximum supported API version is ${maxApiVersion}`,
    )
  }
}

/** Splits `/v1.41/nodes?x=y` into version and the rest; a path without a version gets the newest. */
export function splitVersion(url: string): { readonly version: string; readonly path: string } {
  const target = url.replace(/^https?:\/\/[^/?]*/i, '')
  const match = /^\/v([0-9.]+)(\/.*)$/s.exec(target)
  const [, version = maxApiVersion, path = target] = match ?? []
  return { version, path }
}
