import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import { hostNetworkNamespace, withinNetworkNamespace } from '@soulbox/linux/namespaces';
import type { SandboxSpec } from '../../driver.ts';
import type { ToolOptions } from '../../host/host-tool.ts';
import { runHostTool } from '../../host/host-tool.ts';
import { idCount } from '../../root/id-map.ts';

const pingGroups = '/proc/sys/net/ipv4/ping_group_range';
const firstFreePort = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
/** GID_T_MAX (Linux: net/ipv4/sysctl_net_ipv4.c), in the ids of whoever writes. */
const highestGroup = 2 ** 31 - 1;

/**
 * Gives the new network namespace of a restore the settings that `createOciConfig` gives the first one. Throws
 * `sandbox_resume_failed` for a namespace that is not the sandbox's own: this and the following steps would change the
 * host's network.
 */
export async function setNetworkSettings(
  { idBase }: SandboxSpec,
  initPid: number,
  options: Pick<ToolOptions, 'tools' | 'signal'>,
): Promise<void> {
  const last = idBase + idCount - 1;
  const namespace = openSync(`/proc/${initPid}/ns/net`, 'r');
  try {
    if (fstatSync(namespace).ino === fstatSync(hostNetworkNamespace()).ino)
      throw new SoulBoxError('sandbox_resume_failed', 'The restored sandbox does not have its own network namespace.');
    withinNetworkNamespace(namespace, () => {
      writeFileSync(firstFreePort, '0');
      if (last <= highestGroup) writeFileSync(pingGroups, `${idBase} ${last}`);
    });
  } finally {
    closeSync(namespace);
  }
  if (last <= highestGroup) return;
  // Only a process of the user namespace has small numbers for these groups.
  const own = [`--user=/proc/${initPid}/ns/user`, `--net=/proc/${initPid}/ns/net`];
  const write = ['sh', '-c', 'echo "0 $1" >"$2"', 'sh', String(idCount - 1), pingGroups];
  await runHostTool('nsenter', [...own, ...write], { directory: '/', ...options });
}
