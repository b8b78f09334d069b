import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { readSetting } from '../system.ts';

export const checkSeccomp: Check = async () => {
  const base = {
    id: 'seccomp',
    title: 'seccomp filters',
    protects: 'the kernel, by blocking rarely used system calls',
  };
  const actions = await readSetting('/proc/sys/kernel/seccomp/actions_avail');
  if (actions?.split(' ').includes('errno') === true) return { ...base, status: 'ok', detail: actions };
  return {
    ...base,
    status: 'fail',
    detail: 'the kernel has no seccomp filters',
    fix: sameFix('use a kernel with CONFIG_SECCOMP_FILTER=y (every distribution has one)'),
  };
};
