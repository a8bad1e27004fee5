import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * What a machine may lack. `engine`: a private dockerd; `netns`: network namespaces; `nftables`: packet filters in them; `cli`: the
 * docker CLI; `compose`: docker-compose.
 */
export type Need = 'engine' | 'netns' | 'nftables' | 'cli' | 'compose'

/** The absolute path of an executable in PATH (and the usual sbin folders), or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin']
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

const answers = new Map<Need, string | undefined>()

/** What `need` lacks on this machine, as a sentence fragment, or undefined when it is there. */
function lacking(need: Need): string | undefined {
  const without = (...programs: string[]) => {
    const missing = programs.filter((name) => findProgram(name) === undefined)
    return missing.length === 0 ? undefined : `${missing.join(', ')} not found`
  }
  switch (need) {
    case 'cli':
      return without('docker')
    case 'compose':
      return without('docker-compose')
    case 'netns': {
      if (process.getuid?.() !== 0) return 'root'
      const missing = without('unshare', 'nsenter', 'ip')
      if (missing !== undefined) return missing
      const tried = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up'], { encoding: 'utf8' })
      return tried.status === 0 ? undefined : `network namespaces (${tried.stderr.trim()})`
    }
    case 'nftables': {
      const missing = lacking('netns') ?? without('nft')
      if (missing !== undefined) return missing
      const tried = spawnSync('unshare', ['--net', 'nft', 'add', 'table', 'inet', 'tried'], {
        encoding: 'utf8',
      })
      return tried.status === 0 ? undefined : `packet filters (${tried.stderr.trim()})`
    }
    case 'engine':
      return (
        lacking('netns') ??
        without('dockerd', 'containerd', 'docker-init', 'busybox', 'setpriv', 'mount', 'tar')
      )
    default:
      return need satisfies never
  }
}

/**
 * For node:test's `skip` option: false when the machine has all `needs`, else the reason.
 * A need that SKEP_TEST_REQUIRE names (comma separated; `all` = every need) must be there: this throws.
 */
export function needs(...needed: readonly Need[]): string | false {
  const required = (process.env['SKEP_TEST_REQUIRE'] ?? '').split(',')
  for (const need of needed) {
    if (!answers.has(need)) answers.set(need, lacking(need))
    const reason = answers.get(need)
    if (reason === undefined) continue
    if (required.includes(need) || required.includes('all')) {
      throw new Error(`SKEP_TEST_REQUIRE names ${need}, but this machine lacks it: ${reason}`)
    }
    return `skipped: needs ${need} (${reason})`
  }
  return false
}
