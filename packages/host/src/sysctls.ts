export interface Sysctl {
  readonly name: string;
  /** Set if the present value is lower. */
  readonly atLeast: number;
  readonly why: string;
}

/** Kernel settings that setup raises until the next boot. Nothing is written below /etc. */
export const sysctls: readonly Sysctl[] = [
  { name: 'net.ipv4.ip_forward', atLeast: 1, why: 'internet access of sandboxes' },
  {
    name: 'fs.inotify.max_user_instances',
    atLeast: 1_048_576,
    why: 'the user namespaces of all sandboxes count against the limit of root; memory limits bound each sandbox',
  },
  { name: 'fs.inotify.max_user_watches', atLeast: 1_048_576, why: 'the same, for watched folders' },
  {
    name: 'vm.unprivileged_userfaultfd',
    atLeast: 1,
    why: 'a resumed sandbox responds before all of its memory is read; sandboxes themselves cannot use userfaultfd',
  },
  { name: 'kernel.pid_max', atLeast: 4_194_304, why: 'processes of a thousand sandboxes' },
  { name: 'user.max_user_namespaces', atLeast: 16_384, why: 'one or more per sandbox' },
  { name: 'user.max_net_namespaces', atLeast: 16_384, why: 'one per sandbox' },
  { name: 'user.max_mnt_namespaces', atLeast: 16_384, why: 'one or more per sandbox' },
];

export const sysctlPath = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;
