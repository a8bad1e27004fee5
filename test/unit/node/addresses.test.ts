import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SwarmError } from '../../../src/model/errors.js'
import {
  nameIn,
  parseHostPort,
  presentAddresses,
  resolveAddresses,
  type NetworkInterface,
} from '../../../src/node/addresses.js'

const lo: NetworkInterface = { name: 'lo', addresses: ['127.0.0.1'], isLoopback: true, isDevice: false }
const eth0: NetworkInterface = {
  name: 'eth0',
  addresses: ['10.0.0.5', 'fe80::1'],
  isLoopback: false,
  isDevice: true,
}
const eth1: NetworkInterface = { name: 'eth1', addresses: ['10.1.0.5'], isLoopback: false, isDevice: true }
const bridge: NetworkInterface = {
  name: 'br0',
  addresses: ['172.17.0.1'],
  isLoopback: false,
  isDevice: false,
}

function resolved(
  wanted: Partial<Parameters<typeof resolveAddresses>[0]>,
  interfaces: readonly NetworkInterface[],
) {
  return resolveAddresses(
    {
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: '',
      dataPathAddr: '',
      defaultAdvertiseAddr: undefined,
      ...wanted,
    },
    interfaces,
  )
}

function refused(
  text: string,
  wanted: Partial<Parameters<typeof resolveAddresses>[0]>,
  interfaces = [lo, eth0],
) {
  assert.throws(
    () => resolved(wanted, interfaces),
    (error) => error instanceof SwarmError && error.code === 'InvalidArgument' && error.message === text,
  )
}

describe('addresses of a node', () => {
  test('the one address of the one network card is announced', () => {
    assert.deepEqual(resolved({}, [lo, eth0, bridge]), {
      listen: { host: '0.0.0.0', port: 2377 },
      advertise: { host: '10.0.0.5', port: 2377 },
      dataPath: '10.0.0.5',
      local: '10.0.0.5',
    })
  })

  test('what is listened on is announced where it is one address', () => {
    const { advertise, local } = resolved({ listenAddr: '127.0.0.1:4500' }, [lo])
    assert.deepEqual(advertise, { host: '127.0.0.1', port: 4500 })
    assert.equal(local, '127.0.0.1')
  })

  test('an interface stands for its address', () => {
    assert.deepEqual(resolved({ advertiseAddr: 'eth1:99' }, [lo, eth0, eth1]).advertise, {
      host: '10.1.0.5',
      port: 99,
    })
    assert.equal(
      resolved({ advertiseAddr: 'eth1', dataPathAddr: 'eth0' }, [lo, eth0, eth1]).dataPath,
      '10.0.0.5',
    )
  })

  test("the daemon's default is used where the request says nothing", () => {
    assert.equal(resolved({ defaultAdvertiseAddr: 'eth1' }, [lo, eth0, eth1]).advertise.host, '10.1.0.5')
  })

  test('bad addresses are refused in the words of Docker', () => {
    refused('listen address must be an IP address or network interface (with optional port number)', {
      listenAddr: 'nowhere:1',
    })
    refused(
      'advertise address must be a non-zero IP address or network interface (with optional port number)',
      { advertiseAddr: '0.0.0.0' },
    )
    refused('data path address must be a non-zero IP address or network interface (without a port number)', {
      dataPathAddr: '10.0.0.5:1',
    })
    refused("could not find the system's IP address", {}, [lo])
    refused(
      'could not choose an IP address to advertise since this system has multiple addresses on different interfaces (10.0.0.5 on eth0 and 10.1.0.5 on eth1)',
      {},
      [lo, eth0, eth1],
    )
    refused(
      'interface eth2 has more than one IPv4 address (10.0.0.1 and 10.0.0.2)',
      { advertiseAddr: 'eth2' },
      [{ name: 'eth2', addresses: ['10.0.0.1', '10.0.0.2'], isLoopback: false, isDevice: true }],
    )
  })

  test('host and port', () => {
    assert.deepEqual(parseHostPort('[::1]:5', 1), { host: '::1', port: 5 })
    assert.deepEqual(parseHostPort('fe80::1', 7), { host: 'fe80::1', port: 7 })
    assert.deepEqual(parseHostPort('h', 7), { host: 'h', port: 7 })
    assert.equal(parseHostPort('h:99999', 7), undefined)
    assert.equal(parseHostPort('a:b:c', 7), undefined)
  })

  test('a DNS name is announced as it is, where it has an address', () => {
    const names = new Map([['manager-1.example', '10.0.0.5']])
    const wanted = {
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: 'manager-1.example:4500',
      dataPathAddr: '',
      defaultAdvertiseAddr: undefined,
    }
    assert.deepEqual(resolveAddresses(wanted, [lo, eth0], names), {
      listen: { host: '0.0.0.0', port: 2377 },
      advertise: { host: 'manager-1.example', port: 4500 },
      dataPath: '10.0.0.5',
      local: '10.0.0.5',
    })
    assert.throws(() => resolveAddresses(wanted, [lo, eth0]), /^SwarmError: advertise address must be/)
    assert.equal(nameIn('manager-1.example:4500', [lo, eth0]), 'manager-1.example')
    for (const text of ['', ':4500', 'eth0', '10.0.0.5', '[::1]:3', 'a:b:c'])
      assert.equal(nameIn(text, [lo, eth0]), undefined, text)
  })

  describe('of a node that starts again', () => {
    const state = {
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: '10.0.0.4:2377',
      dataPathAddr: '10.0.0.4',
      localAddr: '10.0.0.4',
    }
    const present = (
      advertiseFrom: string | undefined,
      more: Partial<typeof state> = {},
      flag?: string,
      interfaces = [lo, eth0],
    ) => {
      const from = advertiseFrom === undefined ? {} : { advertiseFrom }
      const { advertiseFrom: _from, ...rest } = presentAddresses(
        { ...state, ...more, ...from },
        interfaces,
        flag,
      )
      return rest
    }
    const moved = {
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: '10.0.0.5:2377',
      dataPathAddr: '10.0.0.5',
      localAddr: '10.0.0.5',
    }

    test('what was found out is found out again when the machine has it no more', () => {
      assert.deepEqual(present(''), moved)
      assert.deepEqual(present('eth0'), moved)
      assert.deepEqual(present('eth0:2377'), moved)
    })

    test('what the user said, and what the machine still has, stays', () => {
      assert.deepEqual(present('10.0.0.4'), state)
      assert.deepEqual(present(undefined), state)
      const here = { ...state, advertiseAddr: '10.0.0.5:2377' }
      assert.deepEqual(present('', here, undefined, [lo, eth0, eth1]), here)
      const named = { ...state, advertiseAddr: 'manager-1.example:2377' }
      assert.deepEqual(present('manager-1.example', named), named)
    })

    test('what cannot be found out stays', () => {
      assert.deepEqual(present('', {}, undefined, [lo]), state)
      assert.deepEqual(present('eth7'), state)
      const unknown = { ...state, advertiseAddr: '0.0.0.0:2377' }
      assert.deepEqual(present('', unknown), unknown)
    })

    test('the daemon’s flag wins; what listened on the old address listens on the new one', () => {
      assert.deepEqual(present('10.0.0.4', { listenAddr: '10.0.0.4:2377' }, 'eth1', [lo, eth0, eth1]), {
        listenAddr: '10.1.0.5:2377',
        advertiseAddr: '10.1.0.5:2377',
        dataPathAddr: '10.1.0.5',
        localAddr: '10.1.0.5',
      })
    })
  })
})
