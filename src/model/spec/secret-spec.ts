import { DriverSchema } from './driver.js'
import { base64, stringMap, struct, text, type Spec } from './schema.js'

export const SecretSpecSchema = struct('SecretSpec', {
  Name: text(),
  Labels: stringMap(undefined, 'always'),
  Data: base64('Never shown again.'),
  Driver: DriverSchema,
  Templating: DriverSchema,
})
export type SecretSpec = Spec<typeof SecretSpecSchema>

export const ConfigSpecSchema = struct('ConfigSpec', {
  Name: text(),
  Labels: stringMap(undefined, 'always'),
  Data: base64(),
  Templating: DriverSchema,
})
export type ConfigSpec = Spec<typeof ConfigSpecSchema>
