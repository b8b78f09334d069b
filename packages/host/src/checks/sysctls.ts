import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { readSetting } from '../system.ts';
import { sysctlPath, sysctls } from '../sysctls.ts';
import type { Sysctl } from '../sysctls.ts';

export const checkSysctls: Check = async () => await Promise.all(sysctls.map(checkSysctl));

async function checkSysctl({ name, atLeast, why }: Sysctl): Promise<Finding> {
  const base = { id: `sysctl-${name.replaceAll(/[._]/g, '-')}`, title: name, protects: why };
  const value = await readSetting(sysctlPath(name));
  if (value !== undefined && Number(value) >= atLeast) return { ...base, status: 'ok', detail: value };
  // Without forwarding no sandbox reaches anything. The other settings only limit the number of sandboxes.
  const status = name === 'net.ipv4.ip_forward' ? 'fail' : 'warn';
  const detail =
    value === undefined ? 'the kernel does not have this setting' : `${value}, should be at least ${String(atLeast)}`;
  return { ...base, status, detail, fix: sameFix(`sysctl -w ${name}=${String(atLeast)}  (soulbox setup does it)`) };
}
