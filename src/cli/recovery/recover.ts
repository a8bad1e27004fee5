import type { Recovered } from '../../node/recovery.js'
import { DaemonClient, hostFlag, hostHelp } from '../daemon-client.js'
import { parseFlags } from '../flags.js'

const usage = `Usage: skep recover [OPTIONS]

Makes a new cluster of one manager, the one that the daemon runs, when the majority of the managers is gone for
good. Root CA, join tokens, IDs, services, secrets and all else stay; workers find this manager again under the
address that it has. Managers that come back later join the new cluster by themselves. Stop them before, if any
still runs: what they know and this one does not is lost.

Options:
      --advertise-addr ADDR  Address that other nodes are told from now on (default: as it is)
      --listen-addr ADDR     Address and port for cluster traffic (default: as it is)
      --force                Also while the swarm has a leader
${hostHelp}
      --format text|json     What to print (default: text)`

/** `skep recover`: a new cluster out of one survivor. */
export const recoverCommand = {
  name: 'recover',
  summary: 'Make a new cluster of one manager whose majority is lost',
  run: async (args: readonly string[]): Promise<number> => {
    if (args.includes('--help') || args.includes('-h')) {
      console.log(usage)
      return 0
    }
    const { values, format } = parseFlags(args, {
      ...hostFlag,
      'advertise-addr': { type: 'string', default: '' },
      'listen-addr': { type: 'string', default: '' },
      force: { type: 'boolean', default: false },
    })
    const daemon = new DaemonClient(values.host)
    const recovered = (await daemon.json('POST', '/skep/v1/recover', {
      json: {
        advertiseAddr: values['advertise-addr'],
        listenAddr: values['listen-addr'],
        force: values.force,
      },
    })) as Recovered
    console.log(format === 'json' ? JSON.stringify(recovered) : describe(recovered))
    return 0
  },
}

function describe(recovered: Recovered): string {
  const { nodeId, advertiseAddr, formerManagers, nodes, services, secrets, configs, networks } = recovered
  const former = formerManagers.map(({ hostname, nodeId: id }) => (hostname === '' ? id : hostname))
  return [
    `Swarm recovered: node ${nodeId} at ${advertiseAddr} is its only manager.`,
    `Kept: ${nodes} nodes, ${services} services, ${networks} networks, ${secrets} secrets, ${configs} configs.`,
    ...(former.length === 0
      ? []
      : [
          '',
          `No managers any more: ${former.join(', ')}.`,
          'They join again when they come back. Those that never will: docker node rm --force NODE',
        ]),
    '',
    'To add managers, run on them what this prints: docker swarm join-token manager',
  ].join('\n')
}
