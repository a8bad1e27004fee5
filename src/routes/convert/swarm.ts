import type { Cluster } from '../../model/objects.js'
import { canonical, SwarmSpecSchema } from '../../model/spec/index.js'
import { zeroTime } from '../../model/time.js'
import type { ManagerBackend } from '../backend.js'
import { head } from './meta.js'

/** What of a manager stands in the JSON of its swarm. */
export type SwarmFacts = Pick<ManagerBackend, 'tlsInfo' | 'rootRotationInProgress'>

/** The cluster as `GET /info` shows it: all but the join tokens. Shape: moby api/types/swarm/swarm.go. */
export function toClusterInfo(cluster: Cluster, { tlsInfo, rootRotationInProgress }: SwarmFacts) {
  const pools = cluster.defaultAddressPools
  return {
    ...head(cluster),
    Spec: canonical(SwarmSpecSchema, cluster.spec),
    TLSInfo: {
      TrustRoot: tlsInfo.TrustRoot,
      CertIssuerSubject: tlsInfo.CertIssuerSubject,
      CertIssuerPublicKey: tlsInfo.CertIssuerPublicKey,
    },
    RootRotationInProgress: rootRotationInProgress,
    DefaultAddrPool: pools === null || pools.length === 0 ? null : pools,
    SubnetSize: cluster.subnetSize,
    DataPathPort: cluster.dataPathPort,
  }
}

/** The cluster as `GET /swarm` shows it. */
export function toSwarm(cluster: Cluster, facts: SwarmFacts) {
  const { worker, manager } = cluster.joinTokens
  return { ...toClusterInfo(cluster, facts), JoinTokens: { Worker: worker, Manager: manager } }
}

/** What `GET /info` of a manager shows while it cannot ask the cluster. */
export const unknownCluster = {
  ID: '',
  Version: {},
  CreatedAt: zeroTime,
  UpdatedAt: zeroTime,
  Spec: {
    Labels: null,
    Orchestration: {},
    Raft: { ElectionTick: 0, HeartbeatTick: 0 },
    Dispatcher: {},
    CAConfig: {},
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: false },
  },
  TLSInfo: {},
  RootRotationInProgress: false,
  DefaultAddrPool: null,
  SubnetSize: 0,
  DataPathPort: 0,
}
