export interface Protection {
  readonly protected: readonly string[];
  readonly notProtected: readonly string[];
}

/**
 * What the container driver isolates and what it does not, in words for an operator. docs/security.md has the reasons.
 */
export const protection: Protection = {
  protected: [
    'The host: root in a sandbox is an unprivileged user outside, with few capabilities and a seccomp filter.',
    'Host files: a sandbox sees its own disk, its template and the envd bundle (both read-only), and no other path of the host.',
    'Other sandboxes: separate users, processes, mounts, IPC and networks. No packet passes between two sandboxes.',
    'Private networks: sandboxes reach public addresses only, not the host, the API, private ranges or metadata services.',
    'Resources: CPU, memory, processes and disk have hard limits. envd responds even while user code uses all of them.',
    'Data at rest: saved memory, secrets, uploads and code of functions are encrypted on the disk under the master key.',
    'The API: every call requires a key. The data of a sandbox is accessible only with the token of that sandbox.',
  ],
  notProtected: [
    'Kernel bugs: all sandboxes share the kernel of the host. Keep it updated. For stronger isolation, use gVisor or run SoulBox in a VM.',
    'Side channels between sandboxes on one CPU (cache timing, speculative execution that the kernel does not mitigate).',
    'What sandboxes send to the internet, unless you give them a network policy or no internet access.',
    'Disk bandwidth: it is measured, not limited. Network bandwidth: it is limited only by a network policy with limits.',
    'Files of sandboxes and volumes on a stolen disk, unless the disk is encrypted or the server has --encrypt-disks.',
    'Bugs in CRIU, which saves and restores hostile processes as root.',
    'Root on this host: root can read every sandbox and every key.',
  ],
};
