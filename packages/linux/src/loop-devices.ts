import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { constants as systemConstants } from 'node:os';
import { addressOf, check, lastErrno, libcFunction, SystemCallError } from './libc.ts';

const ioctl = libcFunction<[fd: number, request: bigint, argument: bigint]>(
  'int ioctl(int fd, unsigned long request, uintptr_t argument)',
);
const mknod = libcFunction<[path: string, mode: number, device: bigint]>(
  'int mknod(const char *path, unsigned int mode, uint64_t device)',
);
/** S_IFBLK of linux/stat.h, for root only. */
const nodeMode = 0o060_600;
/** linux/loop.h */
const getFree = 0x4c82n;
const configure = 0x4c0an;
const flags = { readOnly: 1, autoClear: 4 } as const;
/** struct loop_config: the descriptor of the file, then struct loop_info64, in it the flags. */
const configBytes = 304;
const flagsAt = 8 + 52;
/** Others on the host take devices, too: between the question for a free one and its use. */
const triesMax = 100;

/** A loop device. It lets its file go with its last descriptor and mount. */
export interface LoopDevice {
  /** Such as `loop3`. */
  readonly name: string;
  /** `major:minor`, as in /sys/dev/block. */
  readonly device: string;
  /** The caller closes it. */
  readonly descriptor: number;
}

/**
 * Puts a file behind a loop device that is free. mount(8) first reads in /sys what is behind each loop device of the
 * host, 0.1 ms for each. Throws `SystemCallError`.
 */
export function attachLoopDevice(file: string, { isReadOnly }: { readonly isReadOnly: boolean }): LoopDevice {
  const access = isReadOnly ? constants.O_RDONLY : constants.O_RDWR;
  using opened = new DisposableStack();
  const open = (path: string, how: number): number => {
    const descriptor = openSync(path, how);
    opened.defer(() => closeSync(descriptor));
    return descriptor;
  };
  const backing = open(file, access | constants.O_NOFOLLOW);
  const control = open('/dev/loop-control', constants.O_RDWR);
  for (let tries = 0; tries < triesMax; tries++) {
    const name = `loop${check('LOOP_CTL_GET_FREE', ioctl(control, getFree, 0n))}`;
    ensureNode(name);
    const device = openLoopDevice(name, access);
    if (isConfigured(device.descriptor, backing, isReadOnly)) return device;
    closeSync(device.descriptor);
  }
  throw new SystemCallError('LOOP_CONFIGURE', systemConstants.errno.EBUSY);
}

/**
 * The kernel makes the node of a new device in the /dev of the machine. That of a container has only those from its start.
 */
function ensureNode(name: string): void {
  const path = `/dev/${name}`;
  if (existsSync(path)) return;
  const [major = 0n, minor = 0n] = readFileSync(`/sys/block/${name}/dev`, 'utf8').trim().split(':').map(BigInt);
  // As in gnu_dev_makedev(3), for numbers below 2^20.
  const device = ((major & 0xfffn) << 8n) | (minor & 0xffn) | ((minor & 0xfff00n) << 12n);
  const made = mknod(path, nodeMode, device);
  if (made !== 0 && !existsSync(path)) throw new SystemCallError(`mknod of ${path}`, lastErrno());
}

/** Opens a loop device: while it is open, it keeps its file. */
export function openLoopDevice(name: string, access: number = constants.O_RDONLY): LoopDevice {
  const descriptor = openSync(`/dev/${name}`, access);
  const { rdev } = fstatSync(descriptor);
  // As in gnu_dev_major(3) and gnu_dev_minor(3), for numbers below 2^20.
  return { name, device: `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`, descriptor };
}

/** False if somebody else has the device by now. */
function isConfigured(device: number, backing: number, isReadOnly: boolean): boolean {
  const config = Buffer.alloc(configBytes);
  config.writeUInt32LE(backing, 0);
  config.writeUInt32LE(flags.autoClear | (isReadOnly ? flags.readOnly : 0), flagsAt);
  if (ioctl(device, configure, addressOf(config)) === 0) return true;
  const errno = lastErrno();
  if (errno === systemConstants.errno.EBUSY) return false;
  closeSync(device);
  throw new SystemCallError('LOOP_CONFIGURE', errno);
}
