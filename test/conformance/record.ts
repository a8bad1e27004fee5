// Records anew what dockerd answers: `node build/.../test/conformance/record.js`, then review the diff.
import { recordDockerd, writeRecording } from './recording.js'

for (const name of ['api', 'containers'] as const) {
  const recording = await recordDockerd(name)
  const failed = recording.exchanges.filter(({ failure }) => failure !== undefined)
  for (const { name: step, failure } of failed) console.error(`${step}: ${failure}`)
  if (failed.length > 0) process.exitCode = 1
  else writeRecording(name, recording)
  console.log(`${name}: ${recording.exchanges.length} calls, ${failed.length} failed`)
}
