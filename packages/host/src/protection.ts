export interface Protection {
  readonly protected: readonly string[];
  readonly notProtected: readonly string[];
}

/** What the container driver keeps apart and what it does not, in words for an operator. docs/security.md has the reasons. */
export const protection: Protection = {
  protected: [
    'The host: root in a sandbox is an unprivileged user of its own outside; it has few capabilities and a seccomp filter.',
    'Host files: a sandbox sees its template, its own disk and the folder of envd, read-only; no other path of the host.',
    'Other sandboxes: separate users, processes, mounts, IPC and networks; no packet passes between two of them.',
    'Private networks: sandboxes reach public addresses only, not the host, the API, private ranges or metadata services.',
    'Resources: CPU, memory, processes and disk have hard limits; envd keeps answering while user code uses all of them.',
    'The API: every call needs a key; sandbox data is reached only with the token of that sandbox.',
  ],
  notProtected: [
    'Kernel bugs: all sandboxes share the kernel of the host. Keep it updated; for stronger walls run SoulBox in a VM.',
    'Side channels between sandboxes on one CPU (cache timing, speculative execution beyond the mitigations of the kernel).',
    'What sandboxes send to the internet, unless you create them without internet access.',
    'Disk and network bandwidth: they are counted, not limited.',
    'Saved states: they hold the memory of sandboxes with its secrets, readable by root, not encrypted.',
    'Bugs of CRIU, which saves and restores hostile processes as root.',
    'Whoever is root on this host: they can read every sandbox and every key.',
  ],
};
