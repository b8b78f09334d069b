// The system calls that a sandbox may make, by purpose. Sources: the kernel's man pages and the calls that the common
// container profiles (moby, containers-common) allow; x86-64 and arm64 only, see docs/decisions/008.

const files = `
  access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
  fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
  fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr ioctl lchown lgetxattr link
  linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at
  newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
  readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync
  sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev chroot
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup
  io_submit landlock_add_rule landlock_create_ruleset landlock_restrict_self cachestat`;

const waiting = `
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
  pause pipe pipe2 poll ppoll pselect6 select signalfd signalfd4`;

const processes = `
  capget capset execve execveat exit exit_group fork getegid geteuid getgid getgroups getpgid getpgrp getpid getppid
  getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill pidfd_getfd
  pidfd_open pidfd_send_signal prlimit64 ptrace rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
  rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
  sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
  sched_setparam sched_setscheduler sched_yield seccomp setfsgid setfsuid setgid setgroups setpgid setpriority setregid
  setresgid setresuid setreuid setrlimit setsid setuid sigaltstack tgkill tkill uname sysinfo times vfork wait4 waitid
  process_mrelease process_vm_readv process_vm_writev getcpu`;

const threads = `
  arch_prctl futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list get_thread_area membarrier
  restart_syscall rseq set_robust_list set_thread_area set_tid_address`;

/**
 * Without pkey_alloc, pkey_free and pkey_mprotect: CRIU 4 does not save which protection keys (pkeys(7)) a process has.
 * After a restore, V8's WebAssembly would end Node with "Commit wasm code space Allocation failed" on each processor that
 * has such keys. V8 does without them if there are none.
 */
const memory = `
  brk mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap memfd_create
  map_shadow_stack remap_file_pages riscv_flush_icache`;

const time = `
  adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer getrandom gettimeofday nanosleep
  setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
  timerfd_settime`;

const sockets = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto
  setsockopt shutdown`;

const sharedMemoryAndQueues = `
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop
  semtimedop shmat shmctl shmdt shmget`;

const split = (text: string): string[] => text.trim().split(/\s+/);

/** Allowed with any arguments. */
export const allowedSyscalls: readonly string[] = [
  files,
  waiting,
  processes,
  threads,
  memory,
  time,
  sockets,
  sharedMemoryAndQueues,
].flatMap(split);

/**
 * Refused with EPERM, like the kernel refuses a process without the capability: programs expect that error. Calls on no
 * list return ENOSYS, which makes programs fall back.
 */
export const refusedSyscalls: readonly string[] = split(`
  acct bpf clock_settime delete_module fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick
  get_mempolicy init_module ioperm iopl kcmp kexec_file_load kexec_load lookup_dcookie mbind migrate_pages mount
  mount_setattr move_mount move_pages open_by_handle_at open_tree perf_event_open pivot_root quotactl quotactl_fd reboot
  set_mempolicy setdomainname sethostname setns settimeofday swapoff swapon syslog umount umount2 unshare vhangup`);
