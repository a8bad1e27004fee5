import { setFlagsFromString } from 'node:v8'
import { parseWitnessOptions, usage } from './options.js'

/** `skep witness`: the third vote of a swarm with two managers. */
export const witnessCommand = {
  name: 'witness',
  summary: 'Vote for a swarm with two managers, so that it survives the death of either',
  run: async (args: readonly string[]): Promise<number> => {
    const options = parseWitnessOptions(args)
    if (options !== 'help') {
      // Room for young objects is what Node.js has most of, and a witness makes few of them.
      for (const flag of ['--max-semi-space-size=1', '--semi-space-growth-factor=1', '--optimize-for-size']) {
        setFlagsFromString(flag)
      }
      const { runWitness } = await import('./run.js')
      return runWitness(options)
    }
    console.log(usage)
    return 0
  },
}
