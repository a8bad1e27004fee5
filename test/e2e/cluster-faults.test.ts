import { test } from 'node:test'
import { surviveFaults } from '../lab/survive.js'
import { needs } from '../lib/needs.js'

test(
  'clients lose nothing when the leader is cut off, a disk is full, or a follower dies',
  { skip: needs('cli', 'nftables'), timeout: 600_000 },
  (t) =>
    surviveFaults(t, ['partition-leader', 'deafen-leader', 'full-disk-follower', 'kill-follower'], {
      isolated: true,
    }),
)
