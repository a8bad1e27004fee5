export {
  isSignedBy,
  issuerOf,
  parseCertificate,
  parseCertificateDer,
  parseCertificates,
  tlsInfo,
  type Certificate,
} from './certificate.js'
export { ChainError, verifyChain, type ChainFault, type ChainOptions } from './chain.js'
export { createCsr, parseCsr } from './csr.js'
export { ExternalCa, type ExternalCaOptions } from './external-ca.js'
export {
  CA_NAME,
  certificateIdentity,
  MANAGER_OU,
  WITNESS_OU,
  WORKER_OU,
  type NodeIdentity,
  type NodeRole,
} from './identity.js'
export { checkImportedRoot } from './imported-root.js'
export {
  createRootCa,
  createSigner,
  crossSign,
  DEFAULT_NODE_EXPIRY_MS,
  issueNodeCertificate,
  ROOT_EXPIRY_MS,
  type NodeCertificateRequest,
  type Signer,
} from './issue.js'
export {
  checkRootDigest,
  createJoinToken,
  joinTokenRole,
  parseJoinToken,
  type JoinToken,
} from './join-token.js'
export { formatKeyFile, parseKeyFile, type DataKey } from './key-file.js'
export {
  KeyReadWriter,
  type LoadOutcome,
  type NodeCredentials,
  type UnlockKeyChange,
} from './key-read-writer.js'
export { generateKey, parsePrivateKey, privateKeyPem, publicKeyDer } from './keys.js'
export { normalizePem } from './pem.js'
export { renewalDelayMs } from './renewal.js'
export {
  clientTlsOptions,
  joinTlsOptions,
  lenientTlsOptions,
  nodeTlsOptions,
  peerIdentity,
  serverTlsOptions,
} from './tls.js'
export { createUnlockKey, formatUnlockKey, parseUnlockKey } from './unlock-key.js'
