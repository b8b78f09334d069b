import { readFile } from 'node:fs/promises';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';

// CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID, CAP_MKNOD: capability.h
const neededCapabilities = { CAP_SETGID: 6, CAP_SETUID: 7, CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_MKNOD: 27 };

/** Checks for root with the capabilities to mount, map ids and configure networks. */
export const checkRoot: Check = async () => {
  const base = { id: 'root', title: 'Root privileges', protects: 'mounts, id maps and networks of sandboxes' };
  if (process.getuid?.() !== 0) {
    const uid = String(process.getuid?.());
    return { ...base, status: 'fail', detail: `running as uid ${uid}`, fix: sameFix('run it with sudo') };
  }
  const status = await readFile('/proc/self/status', 'utf8');
  const held = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const missing = Object.entries(neededCapabilities).filter(([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return { ...base, status: 'ok', detail: 'uid 0' };
  return {
    ...base,
    status: 'fail',
    detail: `root without ${missing.map(([name]) => name).join(', ')}: is this an unprivileged container?`,
    fix: sameFix('run it on the host, in a virtual machine, or in a container started with --privileged'),
  };
};
