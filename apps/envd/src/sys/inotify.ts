import { closeSync, constants } from 'node:fs';
import { cString, syscall, trySyscall } from './libc.ts';
import { readDescriptor } from './read-descriptor.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Bits of `struct inotify_event.mask` (kernel: include/uapi/linux/inotify.h). */
export const inotifyMask = {
  modify: 0x2,
  attrib: 0x4,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
  moveSelf: 0x800,
  queueOverflow: 0x4000,
  ignored: 0x8000,
  onlyDirectory: 0x1000000,
  isDirectory: 0x40000000,
} as const;

export interface InotifyEvent {
  readonly watch: number;
  readonly mask: number;
  /** Links the two halves of a rename. Otherwise 0. */
  readonly cookie: number;
  /** The name within the watched directory. Empty for the directory itself. */
  readonly name: string;
}

/** One inotify instance of the kernel. */
export interface Inotify {
  /**
   * Watches a directory. The same directory always has the same number. Throws ENOENT, ENOTDIR and ENOSPC (too many).
   */
  add(path: string): number;
  remove(watch: number): void;
  close(): void;
}

const closeOnExec = 0o2000000;
const watchedBits =
  inotifyMask.modify |
  inotifyMask.attrib |
  inotifyMask.movedFrom |
  inotifyMask.movedTo |
  inotifyMask.create |
  inotifyMask.delete |
  inotifyMask.deleteSelf |
  inotifyMask.moveSelf |
  inotifyMask.onlyDirectory;

/** Opens an instance. `onEvents` is called with each batch from the kernel. */
export function openInotify(onEvents: (events: readonly InotifyEvent[]) => void): Inotify {
  const fd = syscall('inotify_init1', nr.inotifyInit1, closeOnExec | constants.O_NONBLOCK);
  const reader = readDescriptor(fd);
  const pump = async (): Promise<void> => {
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read())
      onEvents(decodeEvents(chunk));
  };
  void pump().finally(() => closeSync(fd));
  return {
    add: (path) => syscall('inotify_add_watch', nr.inotifyAddWatch, fd, cString(path), watchedBits),
    remove: (watch) => void trySyscall(nr.inotifyRmWatch, fd, watch),
    close: () => reader.cancel(),
  };
}

/** `struct inotify_event`: watch, mask, cookie, length of the NUL-padded name, name. */
function decodeEvents(chunk: Uint8Array): InotifyEvent[] {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  const events: InotifyEvent[] = [];
  for (let offset = 0; offset + 16 <= bytes.length;) {
    const nameLength = bytes.readUInt32LE(offset + 12);
    const name = bytes.toString('utf8', offset + 16, offset + 16 + nameLength);
    events.push({
      watch: bytes.readInt32LE(offset),
      mask: bytes.readUInt32LE(offset + 4),
      cookie: bytes.readUInt32LE(offset + 8),
      name: name.replace(/\0+$/, ''),
    });
    offset += 16 + nameLength;
  }
  return events;
}
