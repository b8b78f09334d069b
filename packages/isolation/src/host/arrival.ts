import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { readBootId } from './init-process.ts';

export type BlockArrival = 'missing' | 'there' | 'damaged';

/** The file of `ArrivingBlocks`. The first bytes say in which boot of the host the file was made: what a crash of the host leaves is not trusted. */
const headBytes = 64;
const values: readonly BlockArrival[] = ['missing', 'there', 'damaged'];

export interface ArrivalFile {
  /** Reads which blocks are there now. */
  refresh(): void;
  /** As of the last `refresh`. */
  arrivalOf(block: number): BlockArrival;
  note(block: number, arrival: BlockArrival): void;
  want(block: number): void;
  /** Blocks that somebody has asked for, there or not. */
  wanted(): number[];
  close(): void;
}

/** Creates the file with nothing there. */
export function createArrivalFile(path: string, count: number): ArrivalFile {
  const fd = openSync(path, 'w+', 0o600);
  ftruncateSync(fd, headBytes + 2 * count);
  writeSync(fd, Buffer.from(readBootId(), 'latin1'), 0, undefined, 0);
  return arrivalFile(fd, count);
}

/** Undefined: it is missing, of another size, or of an earlier boot of the host. */
export function openArrivalFile(path: string, count: number): ArrivalFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r+');
  } catch {
    return undefined;
  }
  const bytes = Buffer.alloc(headBytes + 2 * count + 1);
  const length = readSync(fd, bytes, 0, bytes.length, 0);
  const boot = readBootId();
  if (length === bytes.length - 1 && bytes.toString('latin1', 0, boot.length) === boot) return arrivalFile(fd, count);
  closeSync(fd);
  return undefined;
}

/** How many blocks the file is for. Undefined: it is missing, or of an earlier boot of the host. */
export function sizeOfArrival(path: string): number | undefined {
  try {
    const bytes = readFileSync(path);
    const boot = readBootId();
    return bytes.toString('latin1', 0, boot.length) === boot ? (bytes.length - headBytes) / 2 : undefined;
  } catch {
    return undefined;
  }
}

function arrivalFile(fd: number, count: number): ArrivalFile {
  const arrived = Buffer.alloc(count);
  const put = (at: number, value: number): void => void writeSync(fd, Buffer.of(value), 0, 1, headBytes + at);
  const file: ArrivalFile = {
    refresh: () => void readSync(fd, arrived, 0, count, headBytes),
    arrivalOf: (block) => values[arrived[block] ?? 0] ?? 'missing',
    note(block, arrival) {
      arrived[block] = values.indexOf(arrival);
      put(block, values.indexOf(arrival));
    },
    want: (block) => put(count + block, 1),
    wanted() {
      const bytes = Buffer.alloc(count);
      readSync(fd, bytes, 0, count, headBytes + count);
      return [...bytes.keys()].filter((block) => bytes[block] === 1);
    },
    close: () => closeSync(fd),
  };
  file.refresh();
  return file;
}
