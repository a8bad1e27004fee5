import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  TemplateError,
  dummyTemplateContext,
  expandContainerSpec,
  expandPayload,
  type TemplateContext,
} from '../../../src/model/template.js'

const context: TemplateContext = {
  service: { id: 'svc1', name: 'web', labels: { tier: 'front', 'with.dot': 'x' } },
  node: { id: 'node1', hostname: 'box', architecture: 'x86_64', os: 'linux' },
  task: { id: 'task1', name: 'web.3.task1', slot: '3' },
}
const sources = { secrets: {}, configs: {}, env: {} }
const expand = (source: string) => expandPayload(source, context, sources)

const expanded: Readonly<Record<string, string>> = {
  plain: 'plain',
  '{{.Service.ID}} {{.Service.Name}}': 'svc1 web',
  '{{.Node.ID}} {{.Node.Hostname}}': 'node1 box',
  '{{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}': 'linux/x86_64',
  '{{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}': 'task1 web.3.task1 3',
  '{{.Service.Labels.tier}}': 'front',
  '{{index .Service.Labels "with.dot"}}{{index .Service.Labels "none"}}': 'x',
  '{{.Service.Labels}}': 'map[tier:front with.dot:x]',
  '{{.Node.Platform}}': '{x86_64 linux}',
  '{{join "." .Service.Name .Task.Slot}}': 'web.3',
  '{{printf "%s-%05d|%-4s|%4s|%q|%v|%x|%%" .Task.Slot 42 "a" "b" "c" true 255}}':
    '3-00042|a   |   b|"c"|true|ff|%',
  '{{printf "%d" "a"}}{{printf "%s"}}{{printf "a" 1}}': '%!d(string=a)%!s(MISSING)a%!(EXTRA int=1)',
  '{{.Node.ID | printf "%s:%s" "a"}}': 'a:node1',
  '{{print 1 2 "a" 3 4}}': '1 2a3 4',
  '{{len .Service.Name}}{{len .Service.Labels}}': '32',
  '{{if eq .Task.Slot "1" "3"}}yes{{else}}no{{end}}': 'yes',
  '{{if ne .Task.Slot "3"}}a{{else if lt 1 2}}b{{else}}c{{end}}': 'b',
  '{{if and .Service.Name (not .Service.Labels)}}a{{else}}b{{end}}': 'b',
  '{{or "" .Node.ID}}': 'node1',
  '{{with .Node}}{{.ID}} {{$.Task.ID}}{{else}}none{{end}}': 'node1 task1',
  '{{$x := .Node.ID}}{{if true}}{{$x = "y"}}{{end}}{{$x}}': 'y',
  '{{range .Service.Labels}}[{{.}}]{{end}}': '[front][x]',
  'a {{- /* gone */ -}} b': 'ab',
  ' {{- .Task.Slot -}} ': '3',
  '{{"}}"}}{{`raw "`}}': '}}raw "',
  '{{(index .Service.Labels "tier") | printf "%s!"}}': 'front!',
  '{{slice "abc" 1 2}}{{slice "abc" 1}}': 'bbc',
  '{{html "<a>"}}{{urlquery "a b&"}}': '&lt;a&gt;a+b%26',
}
for (const [source, result] of Object.entries(expanded)) {
  test(`11.4 expands ${source}`, () => assert.equal(expand(source), result))
}

const at = (column: string, what: string) =>
  `template: expansion:1:${column}: executing "expansion" at <${what}>: `
const refused: Readonly<Record<string, string>> = {
  '{{.Nope}}': `${at('2', '.Nope')}can't evaluate field Nope in type *template.Context`,
  '{{.Task.Slot.X}}': `${at('7', '.Task.Slot.X')}can't evaluate field X in type string`,
  '{{.Service.Labels.none}}': `${at('10', '.Service.Labels.none')}map has no entry for key "none"`,
  '{{.Service.Labels.constructor}}': `${at('10', '.Service.Labels.constructor')}map has no entry for key "constructor"`,
  '{{index .Task.Slot "a"}}': `${at('2', 'index .Task.Slot "a"')}error calling index: cannot index slice/array with type string`,
  '{{index .Task.Slot 99}}': `${at('2', 'index .Task.Slot 99')}error calling index: index out of range: 99`,
  '{{len 3}}': `${at('2', 'len 3')}error calling len: len of type int`,
  '{{len}}': `${at('2', 'len')}wrong number of args for len: want 1 got 0`,
  '{{and}}': `${at('2', 'and')}wrong number of args for and: want at least 1 got 0`,
  '{{not 1 2}}': `${at('2', 'not')}wrong number of args for not: want 1 got 2`,
  '{{join 1 "a"}}': `${at('7', '1')}expected string; found 1`,
  '{{eq 1 "a"}}': `${at('2', 'eq 1 "a"')}error calling eq: incompatible types for comparison`,
  '{{.Node.ID "a"}}': `${at('7', '.Node.ID')}ID has arguments but cannot be invoked as function`,
  '{{$.x}}': `${at('3', '$.x')}can't evaluate field x in type *template.Context`,
  '{{(.Task).X}}': `${at('3', '.Task')}can't evaluate field X in type struct { ID string; Name string; Slot string }`,
  '{{"a}}': 'template: expansion:1: unterminated quoted string',
  "{{'ab'}}": "template: expansion:1: malformed character constant: 'ab'",
  '{{/* a }}': 'template: expansion:1: unclosed comment',
  '{{ - }}': 'template: expansion:1: illegal number syntax: "-"',
  '{{.Node#}}': "template: expansion:1: bad character U+0023 '#'",
  '{{|}}': 'template: expansion:1: unexpected "|" in command',
  '{{foo}}': 'template: expansion:1: function "foo" not defined',
  '{{toString}}': 'template: expansion:1: function "toString" not defined',
  '{{.Node': 'template: expansion:1: unclosed action',
  '{{}}': 'template: expansion:1: missing value for command',
  '{{if true}}': 'template: expansion:1: unexpected EOF',
  '{{end}}': 'template: expansion:1: unexpected {{end}}',
  'a\n{{$x}}': 'template: expansion:2: undefined variable "$x"',
  '{{(.Node}}': 'template: expansion:1: unclosed left paren',
  '{{secret "gone"}}': `${at('2', 'secret "gone"')}error calling secret: secret target gone not found`,
}
for (const [source, message] of Object.entries(refused)) {
  test(`11.4 refuses ${JSON.stringify(source)}`, () => {
    assert.throws(
      () => expand(source),
      (error) => {
        assert.ok(error instanceof TemplateError)
        assert.equal(error.message, message)
        return true
      },
    )
  })
}

test('11.4 only some fields of a container are templates', () => {
  const t = '{{.Task.Slot}}'
  const spec = expandContainerSpec(
    {
      Image: t,
      Args: [t],
      Labels: { a: t },
      Hostname: t,
      Env: [`A=b=${t}`, t],
      Mounts: [
        {
          Source: t,
          Target: `/${t}`,
          VolumeOptions: { Labels: { a: t }, DriverConfig: { Name: t, Options: { o: t } } },
        },
      ],
    },
    context,
  )
  assert.deepEqual(spec, {
    Image: t,
    Args: [t],
    Labels: { a: t },
    Hostname: '3',
    Env: ['A=b=3', t],
    Mounts: [
      {
        Source: '3',
        Target: '/3',
        VolumeOptions: { Labels: { a: '3' }, DriverConfig: { Name: t, Options: { o: '3' } } },
      },
    ],
  })
})

test('errors say where the template stood', () => {
  const text = 'template: expansion:1: function "x" not defined'
  const cases = [
    [{ Env: ['A={{x}}'] }, `expanding env failed: expanding env "A={{x}}": ${text}`],
    [{ Hostname: '{{x}}' }, `expanding hostname failed: ${text}`],
    [{ Mounts: [{ Source: '{{x}}' }] }, `expanding mounts failed: expanding mount source "{{x}}": ${text}`],
    [
      { Mounts: [{ VolumeOptions: { Labels: { a: '{{x}}' } } }] },
      `expanding mounts failed: expanding volume labels: expanding map entry "a"="{{x}}": ${text}`,
    ],
    [
      { Mounts: [{ VolumeOptions: { DriverConfig: { Options: { a: '{{x}}' } } } }] },
      `expanding mounts failed: expanding volume driver config: expanding map entry "a"="{{x}}": ${text}`,
    ],
  ] as const
  for (const [spec, message] of cases) {
    assert.throws(() => expandContainerSpec(spec, dummyTemplateContext), { message })
  }
})

test('11.5 payloads reach what their task refers to', () => {
  const reach = { secrets: { key: 's3' }, configs: { c: 'd' }, env: { HOME: '/' } }
  assert.equal(
    expandPayload('{{secret "key"}} {{config "c"}} {{env "HOME"}}{{env "no"}}', context, reach),
    's3 d /',
  )
})
