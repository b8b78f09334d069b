/**
 * Linux system call numbers. They differ by architecture (kernel: arch/x86/entry/syscalls, include/uapi/asm-generic).
 */
interface SyscallNumbers {
  readonly ioctl: number;
  readonly fcntl: number;
  readonly wait4: number;
  readonly kill: number;
  readonly pipe2: number;
  readonly setgroups: number;
  readonly setresgid: number;
  readonly setresuid: number;
  readonly getgroups: number;
  readonly lsetxattr: number;
  readonly lgetxattr: number;
  readonly llistxattr: number;
  readonly lremovexattr: number;
  readonly fsetxattr: number;
  readonly flistxattr: number;
  readonly fremovexattr: number;
  readonly inotifyInit1: number;
  readonly inotifyAddWatch: number;
  readonly inotifyRmWatch: number;
  readonly schedGetaffinity: number;
  readonly prctl: number;
  readonly socket: number;
  readonly socketpair: number;
  readonly bind: number;
  readonly setsockopt: number;
  readonly sendmsg: number;
  readonly recvmsg: number;
}

const x64: SyscallNumbers = {
  ioctl: 16,
  fcntl: 72,
  wait4: 61,
  kill: 62,
  pipe2: 293,
  setgroups: 116,
  setresgid: 119,
  setresuid: 117,
  getgroups: 115,
  lsetxattr: 189,
  lgetxattr: 192,
  llistxattr: 195,
  lremovexattr: 198,
  fsetxattr: 190,
  flistxattr: 196,
  fremovexattr: 199,
  inotifyInit1: 294,
  inotifyAddWatch: 254,
  inotifyRmWatch: 255,
  schedGetaffinity: 204,
  prctl: 157,
  socket: 41,
  socketpair: 53,
  bind: 49,
  setsockopt: 54,
  sendmsg: 46,
  recvmsg: 47,
};

const arm64: SyscallNumbers = {
  ioctl: 29,
  fcntl: 25,
  wait4: 260,
  kill: 129,
  pipe2: 59,
  setgroups: 159,
  setresgid: 149,
  setresuid: 147,
  getgroups: 158,
  lsetxattr: 6,
  lgetxattr: 9,
  llistxattr: 12,
  lremovexattr: 15,
  fsetxattr: 7,
  flistxattr: 13,
  fremovexattr: 16,
  inotifyInit1: 26,
  inotifyAddWatch: 27,
  inotifyRmWatch: 28,
  schedGetaffinity: 123,
  prctl: 167,
  socket: 198,
  socketpair: 199,
  bind: 200,
  setsockopt: 208,
  sendmsg: 211,
  recvmsg: 212,
};

export const syscallNumbers: SyscallNumbers = process.arch === 'arm64' ? arm64 : x64;
