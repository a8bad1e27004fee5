import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DockerEngine, SimulatedEngine, SimWorld } from '../../src/engine/index.js'
import { silentLog } from '../../src/env/log.js'
import { systemEnv } from '../../src/env/system.js'
import { DockerExecutor } from '../../src/executor/index.js'
import { Dockerd } from '../lib/dockerd.js'
import { EngineServer } from '../lib/engine-server.js'
import { needs } from '../lib/needs.js'
import { executorSuite, type Bed, type Behaviours } from './executor-suite.js'
import { simBehaviours } from './sim-behaviours.js'

const image = 'busybox:latest'
const script = (text: string) => ({ Image: image, Command: ['sh', '-c', text] })
const ms = 1e6
const check = (test: string) => ({
  Test: ['CMD-SHELL', test],
  Interval: 100 * ms,
  Timeout: 2000 * ms,
  Retries: 1,
})

/** The same behaviours in shell, for containers that really run. */
const realBehaviours: Behaviours = {
  polite: script('trap "exit 0" TERM; while :; do sleep 0.1; done'),
  // Without a handler PID 1 ignores SIGTERM.
  stubborn: { Image: image, Command: ['sleep', '1000'] },
  unstartable: { Image: image, Command: ['/no/such/program'] },
  healthy: {
    ...script('sleep 1; touch /ok; exec sleep 1000'),
    Healthcheck: { ...check('test -e /ok'), Retries: 100 },
  },
  unhealthy: { ...script('exec sleep 1000'), Healthcheck: check('false'), StopGracePeriod: 1000 * ms },
  talking: script('trap "exit 0" TERM; while :; do echo line; sleep 0.05; done'),
  imageless: { Image: '127.0.0.1:1/nosuch:latest' },
}

async function bed(socketPath: string, behaviours: Behaviours, close: () => Promise<void>): Promise<Bed> {
  const env = systemEnv(silentLog)
  const engine = await DockerEngine.open(env, socketPath)
  const dataRoot = mkdtempSync(join(tmpdir(), 'skep-executor-'))
  return {
    engine,
    image,
    behaviours,
    newExecutor: () =>
      new DockerExecutor(env, engine, { hostname: 'host1', labels: [], genericResources: [], dataRoot }),
    async close() {
      await engine.close()
      await close()
      rmSync(dataRoot, { recursive: true, force: true })
    },
  }
}

const simulatedApi = async (): Promise<Bed> => {
  const env = systemEnv(silentLog)
  const simulated = new SimulatedEngine(
    env,
    new SimWorld(env, { hostname: 'host1', cpus: 2, memoryBytes: 1e9 }),
  )
  const server = await EngineServer.start(simulated)
  // The label that makes a pull fail does not travel with the engine's own pull call.
  const { imageless: _imageless, ...behaviours } = simBehaviours
  return bed(server.socketPath, behaviours, async () => {
    await simulated.close()
    await server.stop()
  })
}

executorSuite('Docker’s API of the simulated engine', false, simulatedApi, { everyImageExists: true })

executorSuite('dockerd', needs('engine'), async () => {
  const dockerd = await Dockerd.start()
  await dockerd.importBusybox(image)
  return bed(dockerd.socketPath, realBehaviours, () => dockerd.stop())
})
