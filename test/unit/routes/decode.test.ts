import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NetworkSpecSchema, SecretSpecSchema, ServiceSpecSchema } from '../../../src/model/spec/index.js'
import { checkContentType, decodeBody } from '../../../src/routes/decode/body.js'
import { gateServiceSpec } from '../../../src/routes/decode/gates.js'

const service = (text: string) => decodeBody(ServiceSpecSchema, Buffer.from(text))
const secret = (text: string) => decodeBody(SecretSpecSchema, Buffer.from(text))

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('nothing was refused')
}

describe('a body is read as Go reads it', () => {
  test('names match whatever their case, unknown members are dropped', () => {
    assert.deepEqual(service('{"name":"a","TASKTEMPLATE":{"containerspec":{"IMAGE":"b","Nope":1}},"X":{}}'), {
      Name: 'a',
      TaskTemplate: { ContainerSpec: { Image: 'b' } },
    })
  })

  test('null is absent, also in lists and maps', () => {
    assert.deepEqual(service('{"Name":null,"Labels":{"a":null},"Networks":[null],"Mode":null}'), {
      Labels: { a: '' },
      Networks: [{}],
    })
  })

  test('nothing and null are an empty object', () => {
    assert.deepEqual(decodeBody(ServiceSpecSchema, undefined), {})
    assert.deepEqual(decodeBody(ServiceSpecSchema, Buffer.alloc(0)), {})
    assert.deepEqual(service('null'), {})
  })

  test('of a member that comes twice the last one counts, structs and maps are merged', () => {
    assert.deepEqual(
      service(
        '{"Name":"a","name":"b","Labels":{"x":"1"},"labels":{"y":"2"},"EndpointSpec":{"Mode":"vip"},"EndpointSpec":{"Ports":[]}}',
      ),
      { Name: 'b', Labels: { x: '1', y: '2' }, EndpointSpec: { Mode: 'vip', Ports: [] } },
    )
    assert.deepEqual(service('{"Mode":{"Global":{}},"Mode":null}'), {})
  })

  test('a member called __proto__ is a label like others', () => {
    const { Labels: labels } = service('{"Labels":{"__proto__":"x","constructor":"y"}}') as { Labels: object }
    assert.deepEqual(Object.entries(labels), [
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
    assert.equal(Object.getPrototypeOf(labels), Object.prototype)
  })

  test('nothing is converted: Go names what does not fit', () => {
    const field = 'invalid JSON: json: cannot unmarshal'
    for (const [text, message] of [
      ['{"Name":5}', `${field} number into Go struct field ServiceSpec.Name of type string`],
      ['{"Name":{}}', `${field} object into Go struct field ServiceSpec.Name of type string`],
      ['{"Labels":[]}', `${field} array into Go struct field ServiceSpec.Labels of type map[string]string`],
      ['{"Labels":{"a":true}}', `${field} bool into Go struct field ServiceSpec.Labels of type string`],
      [
        '{"Mode":{"Replicated":{"Replicas":-1}}}',
        `${field} number -1 into Go struct field ReplicatedService.Mode.Replicated.Replicas of type uint64`,
      ],
      [
        '{"Mode":{"Replicated":{"Replicas":1.0}}}',
        `${field} number 1.0 into Go struct field ReplicatedService.Mode.Replicated.Replicas of type uint64`,
      ],
      [
        '{"Mode":{"Replicated":{"Replicas":"1"}}}',
        `${field} string into Go struct field ReplicatedService.Mode.Replicated.Replicas of type uint64`,
      ],
      [
        '{"EndpointSpec":{"Ports":[{"TargetPort":4294967296}]}}',
        `${field} number 4294967296 into Go struct field PortConfig.EndpointSpec.Ports.TargetPort of type uint32`,
      ],
      ['[]', `${field} array into Go value of type swarm.ServiceSpec`],
      ['"x"', `${field} string into Go value of type swarm.ServiceSpec`],
    ] as const) {
      assert.equal(
        refusal(() => service(text)),
        message,
        text,
      )
    }
    assert.equal(
      refusal(() => decodeBody(NetworkSpecSchema, Buffer.from('[]'))),
      `${field} array into Go value of type network.CreateRequest`,
    )
  })

  test('the first fault is told, but faults of syntax come before all', () => {
    assert.match(
      refusal(() => service('{"Labels":1,"Name":2}')),
      /ServiceSpec\.Labels/,
    )
    assert.match(
      refusal(() => service('{"Name":5,}')),
      /looking for beginning of object key string/,
    )
  })

  test('faults of syntax in the words of Go', () => {
    for (const [text, message] of [
      ['nope', `invalid character 'o' in literal null (expecting 'u')`],
      ['{"Name":', 'got EOF while reading request body'],
      ['   ', 'got EOF while reading request body'],
      ['{"Name" 1}', `invalid character '1' after object key`],
      ['{"Name":"a" "b"}', `invalid character '"' after object key:value pair`],
      ['{"Networks":[1 2]}', `invalid character '2' after array element`],
      ["{'a':1}", `invalid character '\\'' looking for beginning of object key string`],
      ['{"a":01}', `invalid character '1' after object key:value pair`],
      ['{"a":-}', `invalid character '}' in numeric literal`],
      ['{"a":1.}', `invalid character '}' after decimal point in numeric literal`],
      ['{"a":1ex}', `invalid character 'x' in exponent of numeric literal`],
      ['{"a":"\n"}', `invalid character '\\n' in string literal`],
      ['{"a":"\\x"}', `invalid character 'x' in string escape code`],
      ['{"a":"\\u12g4"}', `invalid character 'g' in \\u hexadecimal character escape`],
      ['é', `invalid character 'Ã' looking for beginning of value`],
    ] as const) {
      assert.equal(
        refusal(() => service(text)),
        `invalid JSON: ${message}`,
        text,
      )
    }
  })

  test('what follows the value is refused', () => {
    assert.equal(
      refusal(() => service('{}{}')),
      'unexpected content after JSON',
    )
    assert.deepEqual(service('{} \n'), {})
  })

  test('nesting has an end', () => {
    assert.equal(
      refusal(() => service('['.repeat(100_000))),
      'invalid JSON: exceeded max depth',
    )
    assert.match(
      refusal(() => service('['.repeat(900) + ']'.repeat(900))),
      /cannot unmarshal array/,
    )
  })

  test('bytes are base64, kept in one form', () => {
    assert.deepEqual(secret('{"Data":"YQ=="}'), { Data: 'YQ==' })
    assert.deepEqual(secret('{"Data":"YW\\nJj"}'), { Data: 'YWJj' })
    for (const [data, at] of [
      ['%%%', 0],
      ['YQ', 0],
      ['YQ=', 3],
      ['YQ==YQ==', 4],
      ['YQ=a', 2],
      ['a===', 1],
      ['YWJj*', 4],
    ] as const) {
      assert.equal(
        refusal(() => secret(JSON.stringify({ Data: data }))),
        `invalid JSON: illegal base64 data at input byte ${at}`,
        data,
      )
    }
    assert.match(
      refusal(() => secret('{"Data":1}')),
      /SecretSpec\.Data of type \[\]uint8$/,
    )
  })

  test('strings come out as they are written', () => {
    assert.deepEqual(service('{"Name":"\\u0041\\ud83d\\ude00\\/\\"é"}'), { Name: 'A😀/"é' })
  })

  test('a large secret does not take long', () => {
    const data = Buffer.alloc(5_000_000, 1).toString('base64')
    assert.deepEqual(secret(`{"Data":"${data}"}`), { Data: data })
  })
})

describe('the content type of a body', () => {
  test('must be JSON', () => {
    checkContentType('', false)
    checkContentType('application/json', true)
    checkContentType('Application/JSON; charset=utf-8', true)
    for (const [type, message] of [
      ['text/plain', `unsupported Content-Type header (text/plain): must be 'application/json'`],
      ['', 'malformed Content-Type header (): mime: no media type'],
      ['a b', 'malformed Content-Type header (a b): mime: expected token'],
      [
        'application/json; x',
        'malformed Content-Type header (application/json; x): mime: invalid media parameter',
      ],
    ] as const) {
      assert.equal(
        refusal(() => checkContentType(type, true)),
        message,
      )
    }
    assert.match(
      refusal(() => checkContentType('text/plain', false)),
      /unsupported/,
    )
  })
})

describe('members that an API version did not know', () => {
  const spec = {
    TaskTemplate: {
      ContainerSpec: {
        Sysctls: { a: 'b' },
        CapabilityAdd: ['X'],
        OomScoreAdj: 1,
        Privileges: { Seccomp: {}, NoNewPrivileges: true },
        Mounts: [{ Type: 'tmpfs', TmpfsOptions: { SizeBytes: 1, Options: [['a']] } }],
        Configs: [{ Runtime: {}, ConfigName: 'c' }],
      },
      Resources: { SwapBytes: 1, Limits: { Pids: 3, MemoryBytes: 4 } },
      Placement: { MaxReplicas: 2 },
    },
    Mode: { ReplicatedJob: {} },
    Networks: [{ Target: 'n' }],
  }

  test('are all read by the newest, but for the old place of networks', () => {
    const { Networks: _networks, ...rest } = spec
    assert.deepEqual(gateServiceSpec(spec, '1.56'), rest)
  })

  test('are dropped, and nothing else', () => {
    assert.deepEqual(gateServiceSpec(spec, '1.39'), {
      TaskTemplate: {
        ContainerSpec: {
          Privileges: {},
          Mounts: [{ Type: 'tmpfs', TmpfsOptions: { SizeBytes: 1 } }],
          Configs: [{ ConfigName: 'c' }],
        },
        Resources: { Limits: { MemoryBytes: 4 } },
        Placement: {},
      },
      Mode: {},
      Networks: [{ Target: 'n' }],
    })
    assert.deepEqual(gateServiceSpec(spec, '1.45').TaskTemplate?.ContainerSpec?.CapabilityAdd, ['X'])
    assert.equal(gateServiceSpec(spec, '1.45').TaskTemplate?.ContainerSpec?.OomScoreAdj, undefined)
  })
})
