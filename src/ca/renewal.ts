import type { Env } from '../env/env.js'

const MINUTE_MS = 60_000

/**
 * How long from now until a certificate should be renewed: at a random minute between 50 % and 80 % of its
 * lifetime, so that the nodes of a cluster do not all renew at once. 0 when that moment has passed.
 * Behaviour: moby/swarmkit ca/renewer.go, calculateRandomExpiry.
 */
export function renewalDelayMs(
  env: Env,
  certificate: { readonly notBeforeMs: number; readonly notAfterMs: number },
): number {
  const { notBeforeMs, notAfterMs } = certificate
  const lifetimeMinutes = (notAfterMs - notBeforeMs) / MINUTE_MS
  const earliest = Math.floor(lifetimeMinutes * 0.5)
  const latest = Math.floor(lifetimeMinutes * 0.8)
  const chosen = latest - earliest < 1 ? earliest : earliest + env.randomInt(latest - earliest)
  return Math.max(0, notBeforeMs + chosen * MINUTE_MS - env.nowMs())
}
