import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Dockerd } from './dockerd.js'
import { findProgram } from './needs.js'

/** Where the Dockerfile looks for dependencies that the build image brings. */
const packagesPath = 'opt/skep/node_modules'

/**
 * Makes two images out of this machine's own Node.js, since no registry can be reached: `runtime` has Node.js, its
 * libraries and busybox; `build` has npm and `packages` (this project's `node_modules`) besides.
 */
export async function importNodeImages(
  dockerd: Dockerd,
  tags: { readonly build: string; readonly runtime: string },
  packages: string,
): Promise<void> {
  const root = join(dockerd.dir, 'node-image')
  try {
    makeRuntime(root)
    await importFolder(dockerd, root, tags.runtime)
    const npm = dirname(dirname(realpathSync(program('npm'))))
    cpSync(npm, join(root, 'usr/lib/node_modules/npm'), { recursive: true })
    symlinkSync('/usr/lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'))
    mkdirSync(join(root, dirname(packagesPath)), { recursive: true })
    cpSync(packages, join(root, packagesPath), { recursive: true, verbatimSymlinks: true })
    await importFolder(dockerd, root, tags.build)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function makeRuntime(root: string): void {
  for (const folder of ['bin', 'etc', 'root', 'tmp', 'usr/bin', 'usr/local/bin', 'usr/lib/node_modules']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  const busybox = program('busybox')
  copyFileSync(busybox, join(root, 'bin/busybox'))
  for (const applet of output(busybox, '--list').trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet))
  }
  // What scripts ask for by its full path.
  symlinkSync('/bin/env', join(root, 'usr/bin/env'))
  const node = process.execPath
  copyFileSync(node, join(root, 'usr/bin/node'))
  const libraries = [...output('ldd', node).matchAll(/(?:=>\s+)?(\/\S+)\s+\(0x/g)].map(
    ([, path]) => path ?? '',
  )
  for (const library of libraries) {
    mkdirSync(dirname(join(root, library)), { recursive: true })
    copyFileSync(realpathSync(library), join(root, library))
  }
}

async function importFolder(dockerd: Dockerd, root: string, tag: string): Promise<void> {
  const archive = `${root}.tar`
  output('tar', '-C', root, '--owner=0', '--group=0', '-cf', archive, '.')
  try {
    output(
      'docker',
      '--host',
      dockerd.host,
      'import',
      '--change',
      'ENV PATH=/usr/local/bin:/usr/bin:/bin',
      archive,
      tag,
    )
  } finally {
    rmSync(archive)
  }
}

function program(name: string): string {
  const path = findProgram(name)
  if (path === undefined) throw new Error(`${name} not found`)
  return path
}

function output(command: string, ...args: string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 16 << 20 })
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`)
  return done.stdout
}
