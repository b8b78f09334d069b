import { closeSync, readFileSync } from 'node:fs';
import { CommandError, run, sleep } from '@soulbox/base';
import type { AddressPlan } from './address-plan.ts';
import { inner } from './address-plan.ts';
import { openNamespaceFd, runIn, writeSetting, writeSettingsIn } from './enter-namespace.ts';

const upTimeoutMs = 2_000;

/** Kernel parameters of a sandbox's namespace, below /proc/sys/net. */
const innerSettings = {
  // For interfaces to come; lo exists already and keeps ::1.
  'ipv6/conf/default/disable_ipv6': '1',
  // The translation on the host does not reach into ICMP errors: let TCP find a small path MTU by itself.
  'ipv4/tcp_mtu_probing': '1',
  // ping without a raw socket, for every group of the sandbox.
  'ipv4/ping_group_range': '0 2147483647',
} as const;

/** Makes the pair, one end in the namespace at `path`, both with addresses and up. On an error nothing is left. */
export async function createLink(plan: AddressPlan, slot: number, path: string, mtu: number): Promise<void> {
  const name = plan.interfaceOf(slot);
  const address = plan.addressOf(slot);
  const fd = openNamespaceFd(path);
  try {
    writeSettingsIn(fd, innerSettings);
    // Through our own descriptor: the process behind `path` may end, and its pid be given to another, at any moment.
    const target = `/proc/${process.pid}/fd/${fd}`;
    // `arp off`: a sandbox could fill the host's neighbour table with requests. The neighbour is the translated address,
    // since the kernel looks it up after the last hook.
    await run('ip', ['-batch', '-'], {
      input: `link add ${name} address ${inner.gatewayMac} mtu ${mtu} type veth peer name ${inner.interfaceName} address ${inner.mac} mtu ${mtu} netns ${target}
link set ${name} arp off up
route add ${address}/32 dev ${name}
neigh add ${inner.address} lladdr ${inner.mac} dev ${name} nud permanent
`,
      timeoutMs: 10_000,
    });
    writeSetting(`ipv6/conf/${name}/disable_ipv6`, '1');
    await runIn(
      fd,
      'ip',
      ['-batch', '-'],
      `link set lo up
addr add ${inner.address}/${inner.prefix} dev ${inner.interfaceName}
link set ${inner.interfaceName} up
neigh add ${inner.gateway} lladdr ${inner.gatewayMac} dev ${inner.interfaceName} nud permanent
route add default via ${inner.gateway}
`,
    );
    await waitUntilUp(name);
  } catch (error) {
    await deleteLink(name);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * The host end came up before its peer, so the kernel starts its queue from a work item of its own a moment later and
 * drops what is sent until then: the answer to a sandbox's first packet, which TCP sends again after a whole second.
 */
async function waitUntilUp(name: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < upTimeoutMs; waitedMs += 2) {
    if (readFileSync(`/sys/class/net/${name}/operstate`, 'latin1').trim() === 'up') return;
    await sleep(2);
  }
}

/** Removes a pair by its host end; one that does not exist (its namespace ended) is as good. */
export async function deleteLink(name: string): Promise<void> {
  try {
    await run('ip', ['link', 'delete', 'dev', name], { timeoutMs: 10_000 });
  } catch (error) {
    if (!(error instanceof CommandError && error.stderr.includes('Cannot find device'))) throw error;
  }
}
