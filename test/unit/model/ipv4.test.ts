import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as ipv4 from '../../../src/model/ipv4.js'

test('addresses from text and back', () => {
  for (const [text, address] of [
    ['0.0.0.0', 0],
    ['10.0.1.2', 167772418],
    ['255.255.255.255', 4294967295],
  ] as const) {
    assert.equal(ipv4.parseAddress(text), address)
    assert.equal(ipv4.formatAddress(address), text)
  }
  for (const bad of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.0',
    '1.2.3.x',
    '01.2.3.4',
    '1.2.3.-4',
    ' 1.2.3.4',
    '::1',
  ])
    assert.equal(ipv4.parseAddress(bad), undefined, bad)
})

test('subnets: bits beyond the prefix are cleared', () => {
  assert.deepEqual(ipv4.parseSubnet('10.1.2.3/24'), ipv4.parseSubnet('10.1.2.0/24'))
  assert.deepEqual(ipv4.parseSubnet('200.1.2.3/0'), { base: 0, prefixLength: 0 })
  assert.deepEqual(ipv4.parseSubnet('200.1.2.3/32'), { base: 3355509251, prefixLength: 32 })
  for (const bad of [
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0/8',
    '10.0.0.0/8/8',
    'fd00::/64',
  ])
    assert.equal(ipv4.parseSubnet(bad), undefined, bad)
  assert.equal(ipv4.formatSubnet(ipv4.subnetOf(ipv4.parseAddress('192.168.77.9') ?? 0, 16)), '192.168.0.0/16')
})

test('what is in what, also at both ends of the address space', () => {
  const subnet = (text: string) => ipv4.parseSubnet(text) ?? assert.fail(text)
  const all = subnet('0.0.0.0/0')
  const last = subnet('255.255.255.0/24')
  assert.equal(ipv4.formatAddress(ipv4.lastAddress(last)), '255.255.255.255')
  assert.equal(ipv4.formatAddress(ipv4.lastAddress(all)), '255.255.255.255')
  assert.ok(ipv4.overlap(all, last) && ipv4.containsSubnet(all, last) && !ipv4.containsSubnet(last, all))
  assert.ok(!ipv4.overlap(subnet('10.0.0.0/24'), subnet('10.0.1.0/24')))
  assert.ok(ipv4.overlap(subnet('10.0.0.0/23'), subnet('10.0.1.0/24')))
  assert.ok(ipv4.contains(subnet('10.0.1.0/24'), ipv4.addressOf('10.0.1.255/24') ?? -1))
  assert.ok(!ipv4.contains(subnet('10.0.1.0/24'), ipv4.addressOf('10.0.2.0') ?? -1))
  assert.equal(ipv4.addressOf('10.0.1.5/240'), undefined)
})
