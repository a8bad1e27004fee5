import type { Meta } from '../../model/objects.js'
import { formatTime } from '../../model/time.js'

/** A counter as Docker's `Version`: empty at 0. */
export function versionObject(index: number): { readonly Index?: number } {
  return index === 0 ? {} : { Index: index }
}

/** What every object of a cluster begins with. */
export function head({ id, version, createdAtMs, updatedAtMs }: Meta) {
  return {
    ID: id,
    Version: versionObject(version),
    CreatedAt: formatTime(createdAtMs),
    UpdatedAt: formatTime(updatedAtMs),
  }
}

/** `{ [name]: value }`, or nothing where Go's `omitempty` leaves the value out. */
export function unlessEmpty<N extends string, T>(name: N, value: T | undefined): { readonly [K in N]?: T } {
  const isEmpty =
    value === undefined ||
    value === null ||
    value === '' ||
    value === 0 ||
    value === false ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  return (isEmpty ? {} : { [name]: value }) as { readonly [K in N]?: T }
}

/** JSON members of an object without its braces, for putting objects together out of encoded parts. */
export function membersOf(json: string): string {
  return json.slice(1, -1)
}
