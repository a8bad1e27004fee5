import type { Config, Secret } from '../../model/objects.js'
import { canonical, ConfigSpecSchema, SecretSpecSchema } from '../../model/spec/index.js'
import { cached } from './cache.js'
import { stringifyExact } from './json.js'
import { head } from './meta.js'

/** Docker's JSON of a secret: never with its data. */
export const encodeSecret = cached((secret: Secret) => {
  const { Data: _data, ...spec } = canonical(SecretSpecSchema, secret.spec)
  return Buffer.from(stringifyExact({ ...head(secret), Spec: spec }))
})

/** Docker's JSON of a config, with its data. */
export const encodeConfig = cached((config: Config) =>
  Buffer.from(stringifyExact({ ...head(config), Spec: canonical(ConfigSpecSchema, config.spec) })),
)
