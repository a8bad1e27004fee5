import type { Env } from '../env/env.js'
import { clusterError } from './errors.js'

const dnsName = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/
const secretName = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$/

/**
 * Checks the name of a service or network.
 * @throws {SwarmError} InvalidArgument. Behaviour: moby/swarmkit manager/controlapi/service.go.
 */
export function checkServiceOrNetworkName(name: string | undefined): void {
  if (name === undefined || name === '') {
    throw clusterError('InvalidArgument', 'meta: name must be provided')
  }
  // The order matters to clients: a name that is both too long and malformed is reported as malformed.
  if (!dnsName.test(name)) {
    throw clusterError('InvalidArgument', 'name must be valid as a DNS name component')
  }
  if (name.length > 63) throw clusterError('InvalidArgument', 'name must be 63 characters or fewer')
}

/**
 * Checks the name of a secret or config.
 * @throws {SwarmError} InvalidArgument. Behaviour: moby/swarmkit manager/controlapi/secret.go.
 */
export function checkSecretOrConfigName(name: string | undefined): void {
  if (name === undefined || name === '') throw clusterError('InvalidArgument', 'name must be provided')
  if (name.length > 64 || !secretName.test(name)) {
    throw clusterError(
      'InvalidArgument',
      'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
    )
  }
}

const adjectives = (
  'agile airy amber ample apt avid bold brave breezy bright brisk calm candid cheerful civil clear clever ' +
  'cosy crisp curious daring deft diligent eager earnest easy elated fair fancy fearless festive fine fleet ' +
  'fluent fond frank fresh gallant gentle genuine glad golden graceful grand handy hardy hearty humble ideal ' +
  'jolly jovial keen kind lively loyal lucid lucky mellow merry mighty mild modest neat nimble noble patient ' +
  'placid plucky polite prompt proud quick quiet rapid ready robust rosy serene sharp silent sincere sleek ' +
  'smart snug solid sound spry stable steady stoic sturdy subtle sunny swift tender tidy tranquil trusty ' +
  'upbeat valiant vivid warm wise witty zesty'
).split(' ')

const surnames = (
  'abel agnesi ampere archimedes avogadro babbage bernoulli bohr boole bose brahe cantor carson cauchy ' +
  'cavendish chandrasekhar church copernicus curie dalton darwin descartes dijkstra dirac einstein erdos ' +
  'euclid euler faraday fermat fermi feynman fibonacci fleming fourier franklin galileo galois gauss germain ' +
  'goedel hamilton hamming harvey heisenberg hertz hilbert hopper hubble huygens hypatia jenner joule kepler ' +
  'kovalevskaya lagrange lamarr laplace lavoisier leavitt leibniz lovelace maxwell mcclintock meitner mendel ' +
  'mendeleev mirzakhani napier nash neumann newton nightingale noether ohm pascal pasteur pauling planck ' +
  'poincare ptolemy pythagoras ramanujan riemann roentgen rutherford sagan schroedinger shannon somerville ' +
  'tesla thales torvalds turing volta watt wiener wiles wu yalow'
).split(' ')

/** A name for a service that came without one: `calm_noether`. Not always a free one. */
export function randomName(env: Pick<Env, 'randomInt'>): string {
  const pick = (words: readonly string[]) => words[env.randomInt(words.length)] ?? ''
  return `${pick(adjectives)}_${pick(surnames)}`
}
