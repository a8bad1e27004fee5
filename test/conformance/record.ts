// Records anew what dockerd answers: `node build/.../test/conformance/record.js`, then review the diff.
import { recordDockerd, writeRecording } from './recording.js'

const recording = await recordDockerd()
const failed = recording.exchanges.filter(({ failure }) => failure !== undefined)
for (const { name, failure } of failed) console.error(`${name}: ${failure}`)
if (failed.length > 0) process.exitCode = 1
else writeRecording(recording)
console.log(`${recording.exchanges.length} calls, ${failed.length} failed`)
