/** Made by a throw-away dockerd 20.10: nothing here opens anything. */
export const dockerRootPem = `-----BEGIN CERTIFICATE-----
MIIBajCCARCgAwIBAgIUQOwTo1TDW1v2xFJCEIkTMqoaPzkwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTIxMDUyNDAwWhcNNDYxMTE2MDUy
NDAwWjATMREwDwYDVQQDEwhzd2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABD9cQIk/oxr7XNvNdOXAhTY0tnyz2PixWGqRNfbTBB4/VmdTF1geWHTCua1l
vydBpnIuLu0LjX3USId4ss6TDzOjQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBTemxatBJpfGNUaWv393dgK3D5VVTAKBggqhkjO
PQQDAgNIADBFAiBNUnfxgoqhDYGBZAwg4imRinw8Zw9Twwkqe1S8QtLuLwIhAOUL
U9ImRwOib+jY93uz05JwbmXY3fqd7itn6ZTuyOs2
-----END CERTIFICATE-----
`

/** The node certificate of that cluster's first manager. */
export const dockerNodePem = `-----BEGIN CERTIFICATE-----
MIICNDCCAdugAwIBAgIUSTEQdA3wpmqSgerMd8Z7TXS1iRMwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTIxMDQyOTAwWhcNMjcwMjE5MDUy
OTAwWjBgMSIwIAYDVQQKExlrbWF4ZnFvbWlzbWl4MW1zcGVqMjl1dmRxMRYwFAYD
VQQLEw1zd2FybS1tYW5hZ2VyMSIwIAYDVQQDExlpcWNpazJkampqNmwxdWNuOXho
ZWM2dXQ1MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXrTAEfOoWonQoewhvD5E
uBZkpDLsGXhXlPMhrYqujec4gxu+zrn59+aNs75uUudBrfGkVhQWyGrkRcXW9rZK
maOBvzCBvDAOBgNVHQ8BAf8EBAMCBaAwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsG
AQUFBwMCMAwGA1UdEwEB/wQCMAAwHQYDVR0OBBYEFLDCDD1nq5KtqtsntrW4pZES
oY3TMB8GA1UdIwQYMBaAFN6bFq0Eml8Y1Rpa/f3d2ArcPlVVMD0GA1UdEQQ2MDSC
DXN3YXJtLW1hbmFnZXKCGWlxY2lrMmRqamo2bDF1Y245eGhlYzZ1dDWCCHN3YXJt
LWNhMAoGCCqGSM49BAMCA0cAMEQCIF6FZXJQ/SZpyk5LaRHBDEnic8jjaklyQ03Y
AHlBgOdxAiAq1GbP6vaLRbWrFY2eCzwyOL4P3s33eQMtv3OUn3txFQ==
-----END CERTIFICATE-----
`

export const dockerCluster = {
  clusterId: 'kmaxfqomismix1mspej29uvdq',
  nodeId: 'iqcik2djjj6l1ucn9xhec6ut5',
  workerToken: 'SWMTKN-1-1ui9j6mbzgohcocjjjhdogjloe01vnh6rvt5zajcp1u26fusi6-6hrh7sn1tatrtqpo6deithtie',
  managerToken: 'SWMTKN-1-1ui9j6mbzgohcocjjjhdogjloe01vnh6rvt5zajcp1u26fusi6-7ujwn58o5v6st8qkqer1d5q46',
  /** As `GET /swarm` showed them. */
  certIssuerSubject: 'MBMxETAPBgNVBAMTCHN3YXJtLWNh',
  certIssuerPublicKey:
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEP1xAiT+jGvtc28105cCFNjS2fLPY+LFYapE19tMEHj9WZ1MXWB5YdMK5rWW/J0Gmci4u7QuNfdRIh3iyzpMPMw==',
}
