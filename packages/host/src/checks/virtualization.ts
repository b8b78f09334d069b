import { access, readFile } from 'node:fs/promises';
import type { Check } from '../finding.ts';

/** Whether micro-VMs could run here. For information only: the container driver does not need them. */
export const checkVirtualization: Check = async () => {
  const cpu = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const flags = /^flags\s*:.*\b(vmx|svm)\b/m.test(cpu);
  const kvm = await access('/dev/kvm').then(
    () => true,
    () => false,
  );
  const inside = /^flags\s*:.*\bhypervisor\b/m.test(cpu) ? ', inside a virtual machine' : '';
  const detail =
    kvm && flags ? 'available' : kvm ? '/dev/kvm exists, but the CPU offers no vmx or svm' : 'not available';
  return {
    id: 'virtualization',
    title: 'Hardware virtualization',
    status: 'ok',
    detail: `${detail}${inside}; not used`,
  };
};
