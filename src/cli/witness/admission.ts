import { certificateIdentity, KeyReadWriter } from '../../ca/index.js'
import type { Env } from '../../env/env.js'
import { defaultClusterPort, formatHostPort, parseHostPort } from '../../node/addresses.js'
import { joinCluster } from '../../node/certificates.js'
import { systemInterfaces } from '../../node/interfaces.js'
import { planJoin } from '../../node/join-request.js'
import type { WitnessOptions } from './options.js'
import type { WitnessDirectory, WitnessState } from './witness-directory.js'

/** What makes a witness one of its swarm. */
export interface Admission {
  readonly keys: KeyReadWriter
  readonly state: WitnessState
}

/**
 * Certificate and addresses of this witness: those that it has, or, at the first start, new ones.
 * @throws {Error} when the flags do not suffice, the files are damaged, or the managers refuse.
 */
export async function admit(
  env: Env,
  directory: WitnessDirectory,
  options: WitnessOptions,
  signal: AbortSignal,
): Promise<Admission> {
  directory.create()
  const state = await directory.readState()
  const loaded = await KeyReadWriter.load(directory.certificates)
  if (state === undefined || loaded.state === 'missing') return join(env, directory, options, signal)
  if (loaded.state !== 'loaded') throw new Error(`the key in ${directory.certificates} is locked`)
  if (certificateIdentity(loaded.keys.certificate).role !== 'witness') {
    throw new Error(`${directory.certificates} holds the certificate of a node that is no witness`)
  }
  const { listenAddr, advertiseAddr } = options
  const listen = withPort(listenAddr) ?? state.listenAddr
  const moved = {
    ...state,
    listenAddr: listen,
    advertiseAddr: withPort(advertiseAddr) ?? state.advertiseAddr,
  }
  return { keys: loaded.keys, state: moved }
}

async function join(
  env: Env,
  directory: WitnessDirectory,
  { joinToken, manager, listenAddr, advertiseAddr }: WitnessOptions,
  signal: AbortSignal,
): Promise<Admission> {
  if (joinToken === undefined || manager === undefined) {
    throw new Error(`${directory.path} holds no witness yet: --join-token and --manager are needed to join`)
  }
  const request = {
    ListenAddr: listenAddr ?? `0.0.0.0:${defaultClusterPort}`,
    AdvertiseAddr: advertiseAddr ?? '',
    RemoteAddrs: [manager],
    JoinToken: joinToken,
  }
  const plan = planJoin(request, undefined, systemInterfaces())
  const state = {
    listenAddr: plan.state.listenAddr,
    advertiseAddr: plan.state.advertiseAddr,
    managers: [{ nodeId: '', addr: formatHostPort(plan.address) }],
  }
  // The certificate comes last: with it this witness is complete.
  await directory.writeState(state)
  const { keys } = await joinCluster(env, directory, { ...plan, witness: true }, signal)
  return { keys, state }
}

function withPort(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const parsed = parseHostPort(address, defaultClusterPort)
  if (parsed === undefined) throw new Error(`invalid address ${JSON.stringify(address)}`)
  return formatHostPort(parsed)
}
