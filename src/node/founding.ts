import {
  KeyReadWriter,
  createJoinToken,
  createSigner,
  createUnlockKey,
  generateKey,
  issueNodeCertificate,
  publicKeyDer,
} from '../ca/index.js'
import { firstRoot } from '../control/root-ca.js'
import type { Env } from '../env/env.js'
import { newId } from '../env/id.js'
import type { NewCluster } from '../manager/bootstrap.js'
import type { InitPlan } from './init-request.js'
import type { SwarmDirectory } from './state-file.js'

/** What the first node of a swarm makes before there is anyone to ask. */
export interface Founding {
  readonly keys: KeyReadWriter
  readonly newCluster: NewCluster
  readonly availability: InitPlan['availability']
}

const nsPerMs = 1_000_000

/** Root, tokens and, with autolock, the unlock key of a new cluster; certificate and data key of its first manager. */
export async function foundCluster(env: Env, directory: SwarmDirectory, plan: InitPlan): Promise<Founding> {
  const root = firstRoot(env, plan.caConfig)
  const clusterId = newId(env)
  const key = generateKey()
  const certificatePem = issueNodeCertificate(env, createSigner(root.certPem, root.keyPem), {
    nodeId: newId(env),
    role: 'manager',
    clusterId,
    publicKeyDer: publicKeyDer(key),
    expiryMs: (plan.spec.CAConfig?.NodeCertExpiry ?? 0) / nsPerMs,
  })
  const unlockKey = plan.spec.EncryptionConfig?.AutoLockManagers === true ? createUnlockKey(env) : undefined
  const credentials = { key, certificatePem, rootPem: root.certPem }
  const keys = await KeyReadWriter.create(
    directory.certificates,
    credentials,
    unlockKey === undefined ? {} : { unlockKey },
  )
  await keys.createDataKey(env)
  return {
    keys,
    availability: plan.availability,
    newCluster: {
      cluster: {
        id: clusterId,
        spec: plan.spec,
        rootCa: {
          certPem: root.certPem,
          keyPem: root.keyPem,
          lastForcedRotation: plan.spec.CAConfig?.ForceRotate ?? 0,
        },
        joinTokens: {
          worker: createJoinToken(env, root.certPem),
          manager: createJoinToken(env, root.certPem),
        },
        ...(unlockKey === undefined ? {} : { unlockKey: unlockKey.toString('base64') }),
        defaultAddressPools: plan.addressPools,
        subnetSize: plan.subnetSize,
        dataPathPort: plan.dataPathPort,
        blacklistedCertificates: {},
      },
    },
  }
}
