import { closeSync, constants, openSync } from 'node:fs';
import { syscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Columns and rows in characters. */
export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

// kernel: include/uapi/asm-generic/ioctls.h
const setLock = 0x40045431;
const getNumber = 0x80045430;
const setWindowSize = 0x5414;

/** Opens a terminal pair. The current credentials own its user side. The master does not block. */
export function openTerminal(size: TerminalSize): { readonly masterFd: number; readonly path: string } {
  const masterFd = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    syscall('unlockpt', nr.ioctl, masterFd, setLock, new Int32Array(1));
    const number = new Int32Array(1);
    syscall('ptsname', nr.ioctl, masterFd, getNumber, number);
    resizeTerminal(masterFd, size);
    return { masterFd, path: `/dev/pts/${number[0] ?? 0}` };
  } catch (error) {
    closeSync(masterFd);
    throw error;
  }
}

/** Notifies the programs on the terminal of its new size (SIGWINCH). */
export function resizeTerminal(masterFd: number, size: TerminalSize): void {
  syscall('resize', nr.ioctl, masterFd, setWindowSize, new Uint16Array([size.rows, size.cols, 0, 0]));
}
