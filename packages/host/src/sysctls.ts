export interface Sysctl {
  readonly name: string;
  /** Set when the present value is lower. */
  readonly atLeast: number;
  readonly why: string;
}

/** Kernel settings that set-up raises, until the next boot. Nothing is written below /etc. */
export const sysctls: readonly Sysctl[] = [
  { name: 'net.ipv4.ip_forward', atLeast: 1, why: 'packets of sandboxes reach the outside' },
  {
    name: 'fs.inotify.max_user_instances',
    atLeast: 1_048_576,
    why: 'the user namespaces of all sandboxes together are charged to root; memory limits bound each of them',
  },
  { name: 'fs.inotify.max_user_watches', atLeast: 1_048_576, why: 'the same, for the folders they watch' },
  {
    name: 'vm.unprivileged_userfaultfd',
    atLeast: 1,
    why: 'a resumed sandbox answers before all of its memory is read; sandboxes themselves get no userfaultfd',
  },
  { name: 'kernel.pid_max', atLeast: 4_194_304, why: 'a thousand sandboxes with processes of their own' },
  { name: 'user.max_user_namespaces', atLeast: 16_384, why: 'one or more per sandbox' },
  { name: 'user.max_net_namespaces', atLeast: 16_384, why: 'one per sandbox' },
  { name: 'user.max_mnt_namespaces', atLeast: 16_384, why: 'one or more per sandbox' },
];

export const sysctlPath = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;
