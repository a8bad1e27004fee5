import type { ListenAddress } from './config.js'

/** What a person who started the daemon in a terminal wants to know: where it is, and what to try. */
export function banner(version: string, engine: string, addresses: readonly ListenAddress[]): string {
  const urls = addresses.map(formatAddress)
  const host = urls.find((url) => url.startsWith('tcp://')) ?? urls[0] ?? ''
  return [
    `skepd ${version} is up.`,
    `  API      ${urls.join('\n           ')}`,
    `  engine   ${engine}`,
    '',
    'Try:',
    `  export DOCKER_HOST=${host}`,
    '  docker swarm init',
    '  docker service create --name hello --replicas 3 busybox sleep 1000',
    '',
  ].join('\n')
}

export function formatAddress(address: ListenAddress): string {
  return address.kind === 'unix' ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`
}
