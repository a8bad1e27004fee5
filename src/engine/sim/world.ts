import type { Env } from '../../env/env.js'
import { SwarmError } from '../../model/errors.js'
import type { ContainerCreateBody } from '../types.js'
import { simBehaviour } from './behaviour.js'
import { SimContainer, type ContainerHost, type ContainerMake, type SavedContainer } from './container.js'
import { SimEvents } from './events.js'
import { SimImages } from './images.js'
import { SimNetworks } from './networks.js'
import { SimPorts } from './ports.js'
import { SimVolumes } from './volumes.js'

export interface SimWorldOptions {
  readonly hostname: string
  /** CPUs that the node reports. */
  readonly cpus: number
  readonly memoryBytes: number
  /** Engine labels, `key=value`. */
  readonly labels?: readonly string[]
  /** How many events are kept for `since`; 0 for crowds of nodes in one process. */
  readonly eventLimit?: number
}

/** The version that simulated engines report: a version number for clients that compare, and honest. */
export const simEngineVersion = '28.0.0-simulated'

/**
 * The containers, images and volumes of one simulated engine. It waits for nothing but timers of its
 * `Env` and opens nothing, so that thousands fit into one process.
 */
export class SimWorld {
  /** What `docker info` calls its ID. */
  readonly id: string
  readonly env: Env
  readonly options: SimWorldOptions
  readonly events: SimEvents
  readonly images: SimImages
  readonly volumes: SimVolumes
  readonly #host: ContainerHost
  readonly #byId = new Map<string, SimContainer>()
  readonly #byName = new Map<string, SimContainer>()
  #networks: SimNetworks | undefined
  #pid = 1000

  constructor(env: Env, options: SimWorldOptions) {
    this.id = env.randomBytes(16).toString('hex')
    this.env = env
    this.options = options
    this.events = new SimEvents(env, options.eventLimit ?? 256)
    this.images = new SimImages(env, this.events)
    this.volumes = new SimVolumes(env, this.events)
    this.#host = { env, events: this.events, ports: new SimPorts(), nextPid: () => ++this.#pid }
  }

  /** Made when someone asks: most nodes of a crowd are never asked. */
  get networks(): SimNetworks {
    this.#networks ??= new SimNetworks(this.env, this.events, this.options.hostname)
    return this.#networks
  }

  /** Newest first. */
  containers(): readonly SimContainer[] {
    return [...this.#byId.values()].reverse()
  }

  /** By whole ID, name (with or without slash) or ID prefix. */
  find(text: string): SimContainer | undefined {
    const name = text.startsWith('/') ? text.slice(1) : text
    const exact = this.#byId.get(text) ?? this.#byName.get(name)
    if (exact !== undefined || !/^[0-9a-f]+$/.test(text)) return exact
    const matches = [...this.#byId.values()].filter(({ id }) => id.startsWith(text))
    return matches.length === 1 ? matches[0] : undefined
  }

  /**
   * Makes a container, and the volumes that it names.
   * @param name "" for a made-up one.
   * @param body gives the container's configuration, the same at each call. It is called now and whenever
   *   someone inspects the container.
   * @throws {SwarmError} NotFound without the image, AlreadyExists for a taken name, InvalidArgument for
   *   labels that cannot be read.
   */
  create(name: string, body: () => ContainerCreateBody): SimContainer {
    const config = body()
    const image = this.images.find(config.Image)
    if (image === undefined) throw new SwarmError('NotFound', `No such image: ${config.Image}`)
    const id = this.env.randomBytes(32).toString('hex')
    const finalName = name === '' ? `sim_${id.slice(0, 12)}` : name
    const other = this.#byName.get(finalName)
    if (other !== undefined) {
      throw new SwarmError(
        'AlreadyExists',
        `Conflict. The container name "/${finalName}" is already in use by container "${other.id}". ` +
          'You have to remove (or rename) that container to be able to reuse that name.',
      )
    }
    const volumes = this.#makeVolumes(config)
    const make = this.#makeOf(config, { id, name: finalName, imageId: image.id, volumes, body })
    return this.#add(new SimContainer(this.#host, make), true)
  }

  /**
   * Puts back a container of an earlier run, which has gone on since.
   * @throws {SwarmError} when its image is not there.
   */
  restore(saved: SavedContainer, config: ContainerCreateBody): SimContainer {
    const image = this.images.find(config.Image)
    if (image === undefined) throw new SwarmError('NotFound', `No such image: ${config.Image}`)
    const { id, name, volumes } = saved
    const make = this.#makeOf(config, { id, name, imageId: image.id, volumes, body: () => config })
    this.#pid = Math.max(this.#pid, saved.pid)
    return this.#add(new SimContainer(this.#host, make, saved), false)
  }

  #makeOf(
    config: ContainerCreateBody,
    given: Pick<ContainerMake, 'id' | 'name' | 'imageId' | 'volumes' | 'body'>,
  ): ContainerMake {
    const labels = config.Labels ?? {}
    const argv = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
    const test = config.Healthcheck?.Test ?? []
    return {
      ...given,
      image: config.Image,
      labels,
      behaviour: simBehaviour(labels, argv),
      hasHealthcheck: test.length > 0 && test[0] !== '' && test[0] !== 'NONE',
      stopSignal: signalName(config.StopSignal ?? ''),
      stopTimeout: config.StopTimeout,
      autoRemove: config.HostConfig?.AutoRemove ?? false,
      ports: wantedPorts(config),
    }
  }

  #add(container: SimContainer, isNew: boolean): SimContainer {
    this.#byId.set(container.id, container)
    this.#byName.set(container.make.name, container)
    if (container.make.autoRemove) {
      container.onChange(() => {
        if (container.state === 'exited') this.remove(container, { force: true, volumes: true })
      })
    }
    if (isNew) container.announce()
    return container
  }

  /**
   * @param options.volumes takes its anonymous volumes along.
   * @throws {SwarmError} AlreadyExists (a conflict) when it runs and `force` is not given.
   */
  remove(container: SimContainer, options: { force: boolean; volumes: boolean }): void {
    if (container.state === 'removed' || !this.#byId.has(container.id)) return
    if (container.state === 'running' && !options.force) {
      throw new SwarmError(
        'AlreadyExists',
        `You cannot remove a running container ${container.id}. Stop the container before attempting removal or force remove`,
      )
    }
    this.#byId.delete(container.id)
    this.#byName.delete(container.make.name)
    container.removed()
    if (!options.volumes) return
    for (const name of container.make.volumes) {
      const volume = this.volumes.get(name)
      if (volume?.anonymous === true) this.volumes.remove(volume)
    }
  }

  /** The containers that mount a volume, by ID. */
  usersOfVolume(name: string): readonly string[] {
    return [...this.#byId.values()].filter(({ make }) => make.volumes.includes(name)).map(({ id }) => id)
  }

  /** The containers made from an image. */
  usersOfImage(id: string): readonly SimContainer[] {
    return [...this.#byId.values()].filter(({ make }) => make.imageId === id)
  }

  #makeVolumes(config: ContainerCreateBody): readonly string[] {
    const names: string[] = []
    for (const mount of config.HostConfig?.Mounts ?? []) {
      if (mount.Type !== 'volume') continue
      const { Labels, DriverConfig } = mount.VolumeOptions ?? {}
      const volume = this.volumes.ensure(mount.Source ?? '', {
        labels: Labels,
        driver: DriverConfig?.Name,
        options: DriverConfig?.Options,
      })
      names.push(volume.name)
    }
    for (const bind of config.HostConfig?.Binds ?? []) {
      const [source = ''] = bind.split(':')
      if (!source.startsWith('/')) names.push(this.volumes.ensure(source).name)
    }
    for (const _target of Object.keys(config.Volumes ?? {})) names.push(this.volumes.ensure('').name)
    return names
  }
}

const signalNumbers: Readonly<Record<string, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  9: 'SIGKILL',
  10: 'SIGUSR1',
  12: 'SIGUSR2',
  15: 'SIGTERM',
}

/** `TERM`, `sigterm` and `15` are all `SIGTERM`; empty too. */
export function signalName(text: string): string {
  if (text === '') return 'SIGTERM'
  const byNumber = signalNumbers[text]
  if (byNumber !== undefined) return byNumber
  const upper = text.toUpperCase()
  return upper.startsWith('SIG') ? upper : `SIG${upper}`
}

function wantedPorts(config: ContainerCreateBody): ContainerMake['ports'] {
  return Object.entries(config.HostConfig?.PortBindings ?? {}).flatMap(([key, bindings]) => {
    const [target = '', protocol = 'tcp'] = key.split('/')
    return (bindings ?? []).map(({ HostPort }) => ({
      target: Number(target),
      protocol,
      port: Number(HostPort === undefined || HostPort === '' ? 0 : HostPort),
    }))
  })
}
