import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SwarmError, type ErrorCode } from '../../../src/model/errors.js'
import { Filters } from '../../../src/routes/http/filters.js'
import { httpStatus } from '../../../src/routes/http/errors.js'
import { stringifyExact } from '../../../src/routes/convert/json.js'
import {
  lenientBoolean,
  objectVersion,
  parseQuery,
  rotateFlag,
  strictBoolean,
} from '../../../src/routes/http/query.js'
import { compareVersions, splitVersion } from '../../../src/routes/http/versions.js'

describe('versions', () => {
  test('compare number by number', () => {
    const sorted = ['1.9', '1.10', '1.41', '1.41.5', '9']
    for (let at = 1; at < sorted.length; at++) {
      assert.ok(compareVersions(sorted[at - 1] ?? '', sorted[at] ?? '') < 0, sorted[at])
    }
    assert.equal(compareVersions('1.41', '1.41.0'), 0)
  })

  test('stand in front of a path, or not', () => {
    assert.deepEqual(splitVersion('/v1.41/nodes?a=/v2/x'), { version: '1.41', path: '/nodes?a=/v2/x' })
    assert.deepEqual(splitVersion('/nodes'), { version: '1.56', path: '/nodes' })
    assert.deepEqual(splitVersion('/vfoo/nodes'), { version: '1.56', path: '/vfoo/nodes' })
    assert.deepEqual(splitVersion('http://host:1/v1.30/info'), { version: '1.30', path: '/info' })
  })
})

describe('arguments', () => {
  test('of a repeated one the first counts', () => {
    assert.equal(parseQuery('a=1&a=2&b=%20x+y').a, '1')
    assert.equal(parseQuery('a=1&a=2&b=%20x+y').b, ' x y')
    assert.equal(parseQuery('__proto__=1').__proto__, '1')
  })

  test('lenient booleans are true unless plainly false', () => {
    for (const value of ['', '0', 'no', 'False', 'NONE']) {
      assert.equal(lenientBoolean({ force: value }, 'force'), false, value)
    }
    for (const value of ['1', 'yes', 'zz']) assert.equal(lenientBoolean({ force: value }, 'force'), true)
    assert.equal(lenientBoolean({}, 'force'), false)
  })

  test('strict booleans are those of Go', () => {
    for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True']) {
      assert.equal(strictBoolean({ status: value }, 'status'), true)
    }
    for (const value of ['0', 'f', 'F', 'FALSE', 'false', 'False', '']) {
      assert.equal(strictBoolean({ status: value }, 'status'), false)
    }
    assert.throws(() => strictBoolean({ status: 'zz' }, 'status'), {
      message: 'invalid value for status: zz: strconv.ParseBool: parsing "zz": invalid syntax',
    })
    assert.throws(() => rotateFlag({ rotateWorkerToken: 'maybe' }, 'rotateWorkerToken'), {
      message: 'invalid value for rotateWorkerToken: maybe',
    })
  })

  test('versions of objects are uint64', () => {
    assert.equal(objectVersion({ version: '12' }, 'service'), 12)
    for (const [value, fault] of [
      ['', 'parsing "": invalid syntax'],
      ['abc', 'parsing "abc": invalid syntax'],
      ['-1', 'parsing "-1": invalid syntax'],
      ['18446744073709551616', 'parsing "18446744073709551616": value out of range'],
    ] as const) {
      assert.throws(() => objectVersion({ version: value }, 'node'), {
        message: `invalid node version '${value}': strconv.ParseUint: ${fault}`,
      })
    }
  })
})

describe('filters', () => {
  const parse = (value: unknown, accepted?: readonly string[]) =>
    Filters.parse({ filters: typeof value === 'string' ? value : JSON.stringify(value) }, accepted)

  test('come in two forms, whose booleans mean nothing', () => {
    assert.deepEqual(parse({ id: { a: true, b: false } }).get('id'), ['a', 'b'])
    assert.deepEqual(parse({ id: ['a', 'b', 'a'] }).get('id'), ['a', 'b'])
    assert.deepEqual(parse('').get('id'), [])
    assert.deepEqual(parse('null').get('id'), [])
  })

  test('that are none are refused', () => {
    for (const value of ['zz', '5', '[]', '{"id":5}', '{"id":[1]}', '{"id":{"a":1}}']) {
      assert.throws(() => parse(value), { message: 'invalid filter', code: 'InvalidArgument' }, value)
    }
    assert.throws(() => parse({ zz: ['a'] }, ['id']), { message: "invalid filter 'zz'" })
  })

  test('labels must all match', () => {
    const labels = { a: '1', b: '' }
    for (const [wanted, expected] of [
      [['a'], true],
      [['a=1'], true],
      [['a='], true],
      [['a=2'], false],
      [['a', 'b'], true],
      [['a', 'c'], false],
      [['toString'], false],
      [[], true],
    ] as const) {
      assert.equal(parse({ label: wanted }).allowsLabels('label', labels), expected, wanted.join())
    }
  })

  test('words are checked, in any case, without empty ones', () => {
    assert.deepEqual(parse({ role: ['Manager', ''] }).words('role', ['manager']), ['manager'])
    assert.throws(() => parse({ role: ['a'] }).words('role', ['manager']), {
      message: "Invalid role filter: 'a'",
      code: 'Unknown',
    })
  })
})

test('errors have the status of their class', () => {
  const expected: Record<ErrorCode, number> = {
    InvalidArgument: 400,
    FailedPrecondition: 400,
    OutOfRange: 400,
    Unauthenticated: 401,
    PermissionDenied: 403,
    NotFound: 404,
    AlreadyExists: 409,
    Unimplemented: 501,
    Unavailable: 503,
    DeadlineExceeded: 500,
    Aborted: 500,
    Internal: 500,
    Unknown: 500,
  }
  for (const [code, status] of Object.entries(expected)) {
    assert.equal(httpStatus(new SwarmError(code as ErrorCode, 'x')), status, code)
  }
  assert.equal(httpStatus(new TypeError('x')), 500)
  assert.equal(httpStatus('x'), 500)
})

test('large whole numbers are written with all their digits, within what Go can read', () => {
  assert.equal(
    stringifyExact({ a: 2 ** 57, b: [Number('9223372036854775807')] }),
    '{"a":144115188075855872,"b":[9223372036854775807]}',
  )
  assert.equal(stringifyExact({ a: Number('18446744073709551615') }), '{"a":18446744073709551615}')
  assert.equal(stringifyExact({ a: -(2 ** 63) }), '{"a":-9223372036854775808}')
  assert.equal(stringifyExact({ a: 1e18, b: undefined, c: null }), '{"a":1000000000000000000,"c":null}')
  assert.equal(stringifyExact({ a: '12345678901234567890<>&' }), '{"a":"12345678901234567890<>&"}')
})
