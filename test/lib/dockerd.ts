import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DaemonProcess } from './daemon-process.js'
import { eventually } from './eventually.js'
import { request, type Reply, type RequestOptions } from './http-client.js'
import { findProgram } from './needs.js'

/**
 * A private dockerd for one test file, with its own containerd, data root and socket. Needs `engine`.
 *
 * How it is kept apart from the machine and from its sisters:
 * - its own network namespace, with `lo` and an `eth0` at 10.200.0.2/24 (one end of a veth pair; the other
 *   end is up in the same namespace), so that any number of daemons have ports 2377, 7946 and 4789, the
 *   `docker0` bridge and iptables rules to themselves. There is no way out to the internet.
 * - its own PID namespace under `docker-init`, which dies with the test process (`setpriv --pdeathsig`,
 *   `unshare --kill-child`) and takes containerd, shims and containers along, even after a SIGKILL.
 * - its own mount namespace (propagation slave: what the host mounts later is seen inside, not the reverse),
 *   so that no overlay or netns mount is left behind.
 *
 * It runs on cgroup v1 and v2 as they are. IPVS (VIPs, routing mesh) and pulls do not work where the kernel
 * or the network lack them; dockerd only logs that.
 */
export class Dockerd {
  readonly dir: string
  readonly socketPath: string
  /** For DOCKER_HOST and `skepd --engine`. */
  readonly host: string
  readonly #process: DaemonProcess

  private constructor(dir: string, process: DaemonProcess) {
    this.dir = dir
    this.socketPath = join(dir, 'docker.sock')
    this.host = `unix://${this.socketPath}`
    this.#process = process
  }

  /** Starts one and waits until it answers. `args` are added to dockerd's command line. */
  static async start(options: { readonly args?: readonly string[] } = {}): Promise<Dockerd> {
    const dir = mkdtempSync(join(tmpdir(), 'skep-dockerd-'))
    const script = [
      'set -e',
      'mount -t proc proc /proc',
      'ip link set lo up',
      'ip link add eth0 type veth peer name eth0peer',
      'ip addr add 10.200.0.2/24 dev eth0',
      'ip link set eth0 up',
      'ip link set eth0peer up',
      'exec "$@"',
    ].join('\n')
    const isolate = '--pdeathsig KILL unshare --net --mount --propagation slave --pid --fork --kill-child'
    const flags = {
      host: `unix://${join(dir, 'docker.sock')}`,
      'data-root': join(dir, 'data'),
      'exec-root': join(dir, 'exec'),
      pidfile: join(dir, 'docker.pid'),
      'cgroup-parent': cgroupParent(dir),
    }
    const process = new DaemonProcess('dockerd', 'setpriv', [
      ...isolate.split(' '),
      'docker-init',
      '--',
      'sh',
      '-c',
      script,
      'sh',
      findProgram('dockerd') ?? 'dockerd',
      ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
      ...(options.args ?? []),
    ])
    const dockerd = new Dockerd(dir, process)
    try {
      await eventually(
        'dockerd to answer',
        async () => {
          if (!process.running) return 'exited'
          return (await dockerd.request('GET', '/_ping')).status === 200 && 'up'
        },
        60_000,
      )
      process.assertRunning()
      return dockerd
    } catch (error) {
      await dockerd.stop()
      throw error
    }
  }

  /** The host's PID of the first process in the daemon's namespaces, for `nsenter --target`. */
  get initPid(): number {
    const children = readFileSync(`/proc/${this.#process.pid}/task/${this.#process.pid}/children`, 'utf8')
    return Number(children.trim().split(' ')[0])
  }

  /** Command and arguments that run `command` in the daemon's network namespace (and no other of its own). */
  inNetwork(command: string, ...args: string[]): [command: string, args: string[]] {
    return ['nsenter', [`--net=/proc/${this.initPid}/ns/net`, command, ...args]]
  }

  /** One API call. */
  request(method: string, path: string, options?: RequestOptions): Promise<Reply> {
    return request({ socketPath: this.socketPath }, method, path, options)
  }

  /** What dockerd and containerd have written. */
  log(): string {
    return this.#process.log()
  }

  /**
   * Makes images from the static busybox of the host, all applets linked in `/bin`, default command `sh`.
   * Tags default to `busybox:latest`; several tags are several images of equal content.
   */
  async importBusybox(...tags: string[]): Promise<void> {
    const archive = busyboxArchive(this.dir)
    for (const tag of tags.length === 0 ? ['busybox:latest'] : tags) {
      const at = tag.lastIndexOf(':')
      const query = new URLSearchParams({ fromSrc: '-', repo: tag.slice(0, at), tag: tag.slice(at + 1) })
      query.append('changes', 'CMD ["sh"]')
      query.append('changes', 'ENV PATH=/bin')
      const reply = await this.request('POST', `/images/create?${query.toString()}`, {
        body: archive,
        headers: { 'Content-Type': 'application/x-tar' },
        timeoutMs: 60_000,
      })
      if (reply.status !== 200 || reply.text.includes('"error"')) {
        throw new Error(`import of ${tag} failed: ${reply.status} ${reply.text}`)
      }
    }
  }

  /** Ends it with all that it started, and removes its files. Safe to call twice. */
  async stop(): Promise<void> {
    // The namespace's init dies at once and the kernel ends everything in it: no container needs a grace
    // period here, and an orderly stop of dockerd takes ten seconds with a container that ignores SIGTERM.
    this.#process.signal('SIGKILL')
    await this.#process.exit()
    await removeCgroups(cgroupParent(this.dir))
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}

function cgroupParent(dir: string): string {
  return `/${basename(dir)}`
}

/** Cgroups outlive the processes in them; v1 has a tree for each controller, v2 just one. */
async function removeCgroups(parent: string): Promise<void> {
  const root = '/sys/fs/cgroup'
  const trees = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name, parent))
  for (const tree of [join(root, parent), ...trees].filter((path) => existsSync(path))) {
    // Busy until the kernel is done with the last process of the namespace.
    await eventually(`the cgroup ${tree} to be free`, () => {
      const folders = readdirSync(tree, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name))
      for (const folder of folders.sort().reverse()) rmdirSync(folder)
      rmdirSync(tree)
      return true
    })
  }
}

/** A tar of a root file system with `/bin/busybox` and a symbolic link for each applet. */
function busyboxArchive(dir: string): Buffer {
  const root = join(dir, 'busybox')
  const archive = join(dir, 'busybox.tar')
  const busybox = findProgram('busybox')
  if (busybox === undefined) throw new Error('busybox not found')
  rmSync(root, { recursive: true, force: true })
  for (const folder of ['bin', 'etc', 'root', 'proc', 'sys', 'dev', 'var', 'run']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  mkdirSync(join(root, 'tmp'), { mode: 0o1777 })
  copyFileSync(busybox, join(root, 'bin/busybox'))
  const applets = run(busybox, '--list').toString('utf8').trim().split('\n')
  for (const applet of applets) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet))
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n')
  run('tar', '-C', root, '--owner=0', '--group=0', '-cf', archive, '.')
  const content = readFileSync(archive)
  rmSync(root, { recursive: true, force: true })
  rmSync(archive)
  return content
}

function run(command: string, ...args: string[]): Buffer {
  const done = spawnSync(command, args, { maxBuffer: 64 << 20 })
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr.toString('utf8')}`)
  return done.stdout
}
