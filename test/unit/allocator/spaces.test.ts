import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressPool } from '../../../src/allocator/address-pool.js'
import { NetworkSpaces, vxlanIdsOption } from '../../../src/allocator/network-space.js'
import { PortSpace, type PortsOutcome } from '../../../src/allocator/port-space.js'
import { SubnetSpace } from '../../../src/allocator/subnet-space.js'
import { formatAddress, formatSubnet, parseSubnet } from '../../../src/model/ipv4.js'
import type { IPAMConfig, PortConfig } from '../../../src/model/spec/index.js'
import { aNetwork } from '../../lib/builders.js'

const subnet = (text: string) => parseSubnet(text) ?? assert.fail(text)
const format = (address: number | undefined) => (address === undefined ? undefined : formatAddress(address))

test('10.5 addresses come serially, freed ones late, ends never', () => {
  const pool = new AddressPool(subnet('10.0.0.0/29'))
  const taken = Array.from({ length: 4 }, () => pool.next())
  assert.deepEqual(taken.map(format), ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'])
  pool.free(taken[1] ?? 0)
  assert.deepEqual([pool.next(), pool.next(), pool.next(), pool.next()].map(format), [
    '10.0.0.5',
    '10.0.0.6',
    '10.0.0.2',
    undefined,
  ])
  assert.equal(pool.freeCount, 0)
})

test('a pool with a range hands out of the range alone', () => {
  const pool = new AddressPool(subnet('10.0.0.0/24'), subnet('10.0.0.252/30'))
  assert.deepEqual([pool.next(), pool.next(), pool.next(), pool.next()].map(format), [
    '10.0.0.252',
    '10.0.0.253',
    '10.0.0.254',
    undefined,
  ])
})

test('10.5 after a restart, addresses go on behind the highest', () => {
  const pool = new AddressPool(subnet('10.0.0.0/29'))
  pool.restore(subnet('10.0.0.4/32').base)
  pool.restore(subnet('10.0.0.2/32').base)
  assert.deepEqual([pool.next(), pool.next(), pool.next(), pool.next(), pool.next()].map(format), [
    '10.0.0.5',
    '10.0.0.6',
    '10.0.0.1',
    '10.0.0.3',
    undefined,
  ])
})

test('10.4 subnets: the lowest gap, between those taken, whatever their size; then the next pool', () => {
  const space = new SubnetSpace()
  const pools = [subnet('10.0.0.0/22'), subnet('10.9.0.0/23')]
  const next = () => {
    const found = space.next(pools, 24)
    return found && formatSubnet(found)
  }
  assert.ok(space.take(subnet('10.0.1.64/26')))
  assert.ok(!space.take(subnet('10.0.0.0/16')))
  assert.deepEqual([next(), next(), next()], ['10.0.0.0/24', '10.0.2.0/24', '10.0.3.0/24'])
  space.free(subnet('10.0.2.0/24'))
  assert.deepEqual([next(), next(), next(), next()], ['10.0.2.0/24', '10.9.0.0/24', '10.9.1.0/24', undefined])
  assert.equal(space.next(pools, 20), undefined)
})

const defaults = { pools: [subnet('10.0.0.0/8')], prefixLength: 24 }
const withIpam = (id: string, ...Config: IPAMConfig[]) =>
  aNetwork({ id, spec: { Name: id, Driver: 'overlay', IPAM: { Config } } })

test('10.4 networks: subnets, gateways and VXLAN ids in order; a removed one is used again at once', () => {
  const spaces = new NetworkSpaces()
  const first = spaces.allocate(aNetwork({ id: 'ingress' }), defaults)
  assert.deepEqual(first, {
    driverState: { name: 'overlay', options: { [vxlanIdsOption]: '4096' } },
    ipam: { driver: 'default', configs: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }] },
  })
  assert.equal(spaces.nextAddress('ingress'), '10.0.0.2/24')
  spaces.allocate(aNetwork({ id: 'b' }), defaults)
  spaces.remove('ingress')
  const third = spaces.allocate(aNetwork({ id: 'c', spec: { Options: { encrypted: '' } } }), defaults)
  assert.equal(third.ipam?.configs[0]?.subnet, '10.0.0.0/24')
  assert.deepEqual(third.driverState?.options, { encrypted: '', [vxlanIdsOption]: '4098' })
})

test('10.4 networks: what the user wants of subnet, range, gateway, auxiliary addresses and VXLAN ids', () => {
  const spaces = new NetworkSpaces()
  const config = { Subnet: '172.30.0.0/16', IPRange: '172.30.5.0/29', Gateway: '172.30.5.1' }
  const auxiliary = { ...config, AuxiliaryAddresses: { router: '172.30.5.2' } }
  const network = withIpam('n', auxiliary, { Subnet: '0.0.0.0/28' })
  const spec = { ...network.spec, Options: { [vxlanIdsOption]: '7000,7001' } }
  assert.deepEqual(spaces.allocate({ ...network, spec }, defaults), {
    driverState: { name: 'overlay', options: { [vxlanIdsOption]: '7000,7001' } },
    ipam: {
      driver: 'default',
      configs: [
        { subnet: '172.30.0.0/16', range: '172.30.5.0/29', gateway: '172.30.5.1' },
        { subnet: '10.0.0.0/28', gateway: '10.0.0.1' },
      ],
    },
  })
  assert.equal(spaces.nextAddress('n'), '172.30.5.0/16')
  assert.equal(spaces.nextAddress('n'), '172.30.5.3/16')
})

test('10.4 networks: an overlap is refused and takes nothing; ranges of one subnet live side by side', () => {
  const spaces = new NetworkSpaces()
  spaces.allocate(withIpam('a', { Subnet: '10.0.1.0/24' }), defaults)
  assert.throws(
    () => spaces.allocate(withIpam('b', {}, { Subnet: '10.0.0.0/16' }), defaults),
    /^AllocationError: network b: Pool overlaps with other one on this address space$/,
  )
  assert.equal(spaces.has('b'), false)
  assert.equal(
    spaces.allocate(aNetwork({ id: 'c' }), defaults).ipam?.configs[0]?.subnet,
    '10.0.0.0/24',
    'the subnet that b had taken first',
  )
  for (const IPRange of ['10.77.1.0/24', '10.77.2.0/24'])
    spaces.allocate(withIpam(IPRange, { Subnet: '10.77.0.0/16', IPRange }), defaults)
  assert.throws(() => spaces.allocate(withIpam('d', { Subnet: '10.77.0.0/16' }), defaults), /overlaps/)
})

test('networks without addresses of ours', () => {
  const spaces = new NetworkSpaces()
  const host = aNetwork({
    id: 'h',
    spec: { Name: 'host', Driver: 'host', Labels: { 'com.docker.swarm.predefined': 'true' } },
  })
  assert.deepEqual(spaces.allocate(host, defaults), { driverState: { name: 'host', options: {} } })
  assert.equal(spaces.nextAddress('h'), '')
})

test('networks: the default pools run out', () => {
  const spaces = new NetworkSpaces()
  const tiny = { pools: [subnet('10.0.0.0/24')], prefixLength: 24 }
  spaces.allocate(aNetwork({ id: 'a' }), tiny)
  assert.throws(() => spaces.allocate(aNetwork({ id: 'b' }), tiny), /could not find an available/)
})

const ingress = (TargetPort: number, PublishedPort = 0, Protocol = 'tcp'): PortConfig => ({
  TargetPort,
  PublishedPort,
  Protocol,
  PublishMode: 'ingress',
})
const numbers = (outcome: PortsOutcome) =>
  typeof outcome === 'object' && 'ports' in outcome
    ? outcome.ports.map(({ PublishedPort }) => PublishedPort)
    : outcome

test('10.8 ports: chosen ones are serial per protocol and stay while the number of ports does', () => {
  const space = new PortSpace()
  const first = space.assign('s', [ingress(80), ingress(443), ingress(53, 0, 'udp')], [])
  assert.deepEqual(numbers(first), [30000, 30001, 30000])
  const current = typeof first === 'object' && 'ports' in first ? first.ports : []
  assert.deepEqual(numbers(space.assign('t', [ingress(80)], [])), [30002])
  assert.deepEqual(
    numbers(space.assign('s', [ingress(443), ingress(80), ingress(53, 0, 'udp')], current)),
    [30001, 30000, 30000],
  )
  assert.deepEqual(numbers(space.assign('s', [ingress(443)], current)), [30003])
})

test('10.8 ports: a given number is had once in the cluster, and again when it is free', () => {
  const space = new PortSpace()
  assert.deepEqual(numbers(space.assign('s', [ingress(80, 8080), ingress(81, 8081)], [])), [8080, 8081])
  assert.deepEqual(space.assign('t', [ingress(1), ingress(80, 8081)], []), { takenBy: 's', port: 8081 })
  assert.deepEqual(numbers(space.assign('u', [ingress(80, 8080, 'udp')], [])), [8080])
  assert.deepEqual(numbers(space.assign('s', [ingress(80, 8080)], [])), [8080])
  assert.deepEqual(numbers(space.assign('t', [ingress(1), ingress(80, 8081)], [])), [30000, 8081])
  space.free('s')
  assert.deepEqual(numbers(space.assign('v', [ingress(80, 8080)], [])), [8080])
})

test('10.8 ports: a chosen number steps aside for no one, and host mode passes through', () => {
  const space = new PortSpace()
  space.restore('s', [ingress(80, 30000)])
  assert.deepEqual(numbers(space.assign('t', [ingress(80)], [])), [30001])
  const host = { TargetPort: 80, PublishedPort: 30000, Protocol: 'tcp', PublishMode: 'host' }
  assert.deepEqual(space.assign('u', [host], []), { ports: [host] })
})

test('ports: when none is left, a service keeps what it had', () => {
  const space = new PortSpace()
  assert.deepEqual(numbers(space.assign('s', [ingress(80, 30000)], [])), [30000])
  const rest = Array.from({ length: 2767 }, (_, at) => ingress(at + 1, 30001 + at))
  space.assign('t', rest, [])
  assert.equal(space.assign('s', [ingress(80, 30000), ingress(81)], []), 'none left')
  assert.deepEqual(space.assign('u', [ingress(80, 30000)], []), { takenBy: 's', port: 30000 })
})
