import type { TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { lenientTlsOptions, nodeTlsOptions, peerIdentity, type KeyReadWriter } from '../ca/index.js'
import type { Env } from '../env/env.js'
import { SwarmError } from '../model/errors.js'
import { decodeMemberContext } from '../raft/index.js'
import type { Dial } from '../raft/transport/index.js'
import { defaultClusterPort, formatHostPort, parseHostPort } from './addresses.js'
import { peerConnection } from './peer-socket.js'

export const raftPath = '/raft'

const handshakeTimeoutMs = 2000

/**
 * Connects to members where their contexts say, and takes only the node that they name. Certificates may have
 * run out: without a leader there are no new ones, and without raft there is no leader.
 */
export function dialMember(env: Env, keys: KeyReadWriter): Dial {
  return (member) => {
    const context = decodeMemberContext(member.context)
    const address = parseHostPort(context?.addr ?? '', defaultClusterPort)
    if (context === undefined || address === undefined) {
      return Promise.reject(new Error(`member ${member.id} has no usable address`))
    }
    const socket = new WebSocket(`wss://${formatHostPort(address)}${raftPath}`, {
      ...lenientTlsOptions(nodeTlsOptions(keys.credentials, context.nodeId)),
      perMessageDeflate: false,
      handshakeTimeout: handshakeTimeoutMs,
    })
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.once('upgrade', (response) => {
        try {
          const lenient = { rootPem: keys.credentials.rootPem, nowMs: env.nowMs() }
          const identity = peerIdentity(response.socket as TLSSocket, lenient)
          if (identity?.nodeId === context.nodeId && identity.role !== 'worker') return
          throw new SwarmError('Unauthenticated', `another node answers at ${context.addr}`)
        } catch (error) {
          reject(error)
          socket.terminate()
        }
      })
      socket.once('open', () => resolve(peerConnection(socket)))
    })
  }
}
