import type { TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { nodeTlsOptions, peerIdentity, type KeyReadWriter } from '../ca/index.js'
import { SwarmError } from '../model/errors.js'
import { decodeMemberContext } from '../raft/index.js'
import type { Dial } from '../raft/transport/index.js'
import { defaultClusterPort, formatHostPort, parseHostPort } from './addresses.js'
import { peerConnection } from './peer-socket.js'

export const raftPath = '/raft'

const handshakeTimeoutMs = 2000

/** Connects to members where their contexts say, and takes only the node that they name. */
export function dialMember(keys: KeyReadWriter): Dial {
  return (member) => {
    const context = decodeMemberContext(member.context)
    const address = parseHostPort(context?.addr ?? '', defaultClusterPort)
    if (context === undefined || address === undefined) {
      return Promise.reject(new Error(`member ${member.id} has no usable address`))
    }
    const socket = new WebSocket(`wss://${formatHostPort(address)}${raftPath}`, {
      ...nodeTlsOptions(keys.credentials, context.nodeId),
      perMessageDeflate: false,
      handshakeTimeout: handshakeTimeoutMs,
    })
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.once('upgrade', (response) => {
        try {
          const identity = peerIdentity(response.socket as TLSSocket)
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
