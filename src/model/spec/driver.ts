import { stringMap, struct, text, type Spec } from './schema.js'

export const DriverSchema = struct(
  'Driver',
  { Name: text('Name of the driver.'), Options: stringMap('Options that the driver understands.') },
  { description: 'A named driver with its options.' },
)
export type Driver = Spec<typeof DriverSchema>
