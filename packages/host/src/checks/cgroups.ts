import { detectCgroupLayout } from '@soulbox/isolation';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';

export const checkCgroups: Check = async () => {
  const base = { id: 'cgroups', title: 'Control groups', protects: 'limits on CPU, memory and processes; metrics' };
  const layout = await detectCgroupLayout();
  if (layout === 'v2' || layout === 'v1') return { ...base, status: 'ok', detail: `cgroup ${layout}` };
  if (layout === 'hybrid') {
    return {
      ...base,
      status: 'fail',
      detail: 'both the v1 and the v2 tree have controllers, a hybrid layout that crun rejects',
      fix: sameFix('soulbox setup mounts the remaining v2 controllers as v1 until the next boot'),
    };
  }
  return {
    ...base,
    status: 'fail',
    detail: 'no cgroup tree with the cpu, memory and pids controllers is mounted',
    fix: {
      debian: 'boot with systemd, or mount -t cgroup2 none /sys/fs/cgroup',
      fedora: 'boot with systemd, or mount -t cgroup2 none /sys/fs/cgroup',
      alpine: 'rc-update add cgroups && rc-service cgroups start',
      arch: 'boot with systemd, or mount -t cgroup2 none /sys/fs/cgroup',
    },
  };
};
