import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type * as Descriptors from '@soulbox/linux/descriptors';
import type * as Libc from '@soulbox/linux/libc';
import { addressOf } from '@soulbox/linux/libc';
import koffi from 'koffi';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createUserFault } from './user-fault.ts';
import type { UserFault, UserFaultEvent } from './user-fault.ts';

const page = 4096;

/**
 * The error that the kernel returns; `noted`: how far it came, which it writes at the end of the request. Undefined:
 * the real call is made.
 */
interface Refusal {
  readonly errno: number;
  readonly noted: number;
}
const played = vi.hoisted((): { refusal: Refusal | undefined } => ({ refusal: undefined }));
vi.mock('@soulbox/linux/descriptors', async (original) => {
  const actual = await original<typeof Descriptors>();
  return {
    ...actual,
    read: (...args: Parameters<typeof actual.read>) => (played.refusal === undefined ? actual.read(...args) : -1),
    ioctl: (...[fd, request, argument]: Parameters<typeof actual.ioctl>) => {
      if (played.refusal === undefined) return actual.ioctl(fd, request, argument);
      // The size of a request is part of its number (linux: asm-generic/ioctl.h).
      argument.writeBigInt64LE(BigInt(played.refusal.noted), ((request >>> 16) & 0x3fff) - 8);
      return -1;
    },
  };
});
vi.mock('@soulbox/linux/libc', async (original) => {
  const actual = await original<typeof Libc>();
  return { ...actual, lastErrno: () => played.refusal?.errno ?? actual.lastErrno() };
});
afterEach(() => {
  played.refusal = undefined;
});

describe('the events of a process', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'soulbox-user-fault-'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  /**
   * Reads the events of a descriptor that delivers the messages like the kernel (linux/userfaultfd.h: struct uffd_msg).
   */
  async function eventsOf(...messages: [event: number, ...words: bigint[]][]) {
    const bytes = messages.map(([event, ...words]) => {
      const message = Buffer.alloc(32);
      message[0] = event;
      words.forEach((word, index) => message.writeBigUInt64LE(word, 8 * (index + 1)));
      return message;
    });
    await writeFile(join(directory, 'messages'), Buffer.concat(bytes));
    const fault = createUserFault(openSync(join(directory, 'messages'), 'r'));
    try {
      return fault.takeEvents();
    } finally {
      fault.close();
    }
  }

  test('are read in their order', async () => {
    const high = 0x7fff_f7a0_0000;
    const events = await eventsOf(
      // Flags, and an address within a page.
      [0x12, 1n, BigInt(high + 0x5abc)],
      [0x14, 0x1000n, 0x8000n, 0x3000n],
      [0x15, 0x2000n, 0x4000n],
      [0x16, 0x5000n, 0x6000n],
    );
    expect(events).toEqual([
      { kind: 'fault', address: high + 0x5000 },
      { kind: 'move', from: 0x1000, to: 0x8000, length: 0x3000 },
      { kind: 'remove', start: 0x2000, end: 0x4000 },
      { kind: 'unmap', start: 0x5000, end: 0x6000 },
    ]);
  });

  test('include a child with a descriptor of its own, which is in half a word', async () => {
    const [event] = await eventsOf([0x13, 0xffff_ffff_0000_0063n]);
    expect(event).toMatchObject({ kind: 'fork', child: { fd: 0x63 } });
  });

  test('are none when there are none', async () => {
    expect(await eventsOf()).toEqual([]);
  });

  test('that do not fit are read the next time', async () => {
    const many = Array.from({ length: 40 }, (_, index): [number, bigint, bigint] => [0x12, 0n, BigInt(index * page)]);
    expect(await eventsOf(...many)).toHaveLength(32);
  });

  test('of an unknown kind are refused', async () => {
    await expect(eventsOf([0x17])).rejects.toThrow('unknown event 23');
  });

  test('cannot be read through a closed descriptor', () => {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    expect(() => createUserFault(fd).takeEvents()).toThrow('read of a userfaultfd: errno 9');
  });
});

const libc = koffi.load(null);
const callNumber = { x64: 323, arm64: 282 }[process.arch as string] ?? -1;
// Flags of userfaultfd(2): only user mode faults, which need no privilege; O_NONBLOCK; O_CLOEXEC.
const openUserFault = (): number =>
  Number((libc.func('long syscall(long number, int flags)') as (...args: number[]) => bigint)(callNumber, 0o2004001));
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)') as (
  ...args: [number, number, Buffer]
) => number;
const mmap = libc.func('void *mmap(void *at, size_t size, int prot, int flags, int fd, int64_t offset)') as (
  ...args: [bigint | null, number, number, number, number, number]
) => bigint;
const mincore = libc.func('int mincore(void *at, size_t size, void *pages)') as (
  ...args: [bigint, number, Buffer]
) => number;

function lackOfUserFault(): string | undefined {
  const fd = openUserFault();
  if (fd < 0) return 'needs userfaultfd(2)';
  closeSync(fd);
  return undefined;
}
const lack = lackOfUserFault();

/** How long a thread may take to start and to touch a page, on a shared machine. */
const heardMs = 10_000;
const koffiPath = createRequire(import.meta.url).resolve('koffi');
/** Reads a byte of memory in a thread of its own. */
const readerProgram = `
  const { parentPort, workerData } = require('node:worker_threads');
  parentPort.postMessage(require(workerData.koffi).decode(workerData.at, 'uint8_t'));`;

// Memory of this process itself. This thread touches no page before it is filled: it would wait for ever.
describe.skipIf(lack !== undefined)(`memory that the kernel keeps for a descriptor (${lack ?? 'all there is'})`, () => {
  const pages = 4;
  const source = Buffer.alloc(pages * page);
  for (let number = 0; number < pages; number += 1) source.fill(number + 1, number * page, (number + 1) * page);
  let fault: UserFault;
  let start: number;

  beforeAll(() => {
    fault = createUserFault(openUserFault());
    const api = Buffer.alloc(24);
    api.writeBigUInt64LE(0xaan, 0);
    expect(ioctl(fault.fd, 0xc018aa3f, api)).toBe(0);
  });
  afterAll(() => fault.close());

  /**
   * Maps the same number of new pages, and one more that the descriptor does not serve. They stay mapped: a thread may
   * wait for them.
   */
  function map(): void {
    start = Number(mmap(null, (pages + 1) * page, 3, 0x22, -1, 0));
    const range = Buffer.alloc(32);
    range.writeBigUInt64LE(BigInt(start), 0);
    range.writeBigUInt64LE(BigInt(pages * page), 8);
    range.writeBigUInt64LE(1n, 16);
    expect(ioctl(fault.fd, 0xc020aa00, range)).toBe(0);
  }

  /** The first byte of each page; undefined where there is none. */
  function content(): (number | undefined)[] {
    const present = Buffer.alloc(pages);
    expect(mincore(BigInt(start), pages * page, present)).toBe(0);
    return [...present].map((isThere, number) => {
      if (isThere === 0) return undefined;
      return koffi.decode(BigInt(start + number * page), 'uint8_t') as number | bigint | undefined as number;
    });
  }

  test('is filled with a copy, of the requested length and nowhere else', () => {
    map();
    expect(fault.copy(start + page, addressOf(source) + BigInt(page), 2 * page)).toEqual({ done: 2 * page });
    expect(content()).toEqual([undefined, 2, 3, undefined]);
  });

  test('is filled with zeros, one page', () => {
    map();
    expect(fault.zero(start + page)).toEqual({ done: page });
    expect(content()).toEqual([undefined, 0, undefined, undefined]);
  });

  test('is left alone where it already exists', () => {
    map();
    fault.copy(start, addressOf(source), page);
    expect(fault.copy(start, addressOf(source) + BigInt(page), page)).toBe('exists');
    expect(fault.zero(start)).toBe('exists');
    expect(content()[0]).toBe(1);
  });

  test('is filled up to the first existing page, and the length is returned', () => {
    map();
    fault.copy(start + 2 * page, addressOf(source), page);
    expect(fault.copy(start, addressOf(source), pages * page)).toEqual({ done: 2 * page });
    expect(content()).toEqual([1, 2, 1, undefined]);
  });

  test('is unmapped where the descriptor serves none', () => {
    map();
    expect(fault.copy(start + pages * page, addressOf(source), page)).toBe('unmapped');
    expect(fault.copy(start, addressOf(source), (pages + 1) * page)).toBe('unmapped');
    expect(fault.zero(start + pages * page)).toBe('unmapped');
  });

  test('blocks a thread that is reported, tries again when woken, and continues when filled', async () => {
    map();
    const reader = new Worker(readerProgram, {
      eval: true,
      workerData: { koffi: koffiPath, at: BigInt(start + page + 5) },
    });
    const read = once(reader, 'message');
    let events: UserFaultEvent[] = [];
    const untilHeard = async (): Promise<void> => {
      events = [];
      await vi.waitFor(() => {
        events.push(...fault.takeEvents());
        expect(events).toEqual([{ kind: 'fault', address: start + page }]);
      }, heardMs);
    };
    try {
      await untilHeard();
      // The page is still missing: the thread waits again.
      fault.wake(start + page);
      await untilHeard();
    } finally {
      fault.copy(start + page, addressOf(source) + BigInt(page), page);
    }
    expect(await read).toEqual([2]);
  });

  test('is not filled by half a page', () => {
    map();
    expect(() => fault.copy(start, addressOf(source), 100)).toThrow('Filling pages failed: errno 22');
    expect(() => fault.zero(start + 1)).toThrow('Filling pages failed: errno 22');
  });

  test('has nothing to report', () => {
    map();
    expect(fault.takeEvents()).toEqual([]);
  });
});

// Cases that this test cannot cause: they need another process, a signal at the exact moment, or a full control group.
describe('the kernel refuses to fill pages', () => {
  const fault = createUserFault(-1);
  const [interrupted, noProcess, again, noMemory, exists] = [4, 3, 11, 12, 17];

  test.each([
    ['a signal came', interrupted, 'again'],
    ['the process changes its mappings', again, 'again'],
    ['the memory limit is reached', noMemory, 'again'],
    ['the process is gone', noProcess, 'ended'],
    ['the page is there', exists, 'exists'],
  ] as const)('because %s, and reports it in its result or in the request', (_, errno, filling) => {
    for (const refusal of [
      { errno, noted: 0 },
      // The value in the request is closer to what happened.
      { errno: 22, noted: -errno },
    ]) {
      played.refusal = refusal;
      expect(fault.copy(0x1000, 0n, 2 * page)).toBe(filling);
      expect(fault.zero(0x1000)).toBe(filling);
    }
  });

  test('after some pages: those are filled, whatever the reason for the stop', () => {
    played.refusal = { errno: again, noted: page };
    expect(fault.copy(0x1000, 0n, 2 * page)).toEqual({ done: page });
  });

  test.each([
    { errno: 1, noted: 0 },
    { errno: 22, noted: -1 },
  ])('for an unexpected reason: %j', (refusal) => {
    played.refusal = refusal;
    expect(() => fault.copy(0x1000, 0n, page)).toThrow('Filling pages failed: errno 1');
  });
});

test.each([4, 11])('a read that the kernel refuses for now (errno %i) returns no events', (errno) => {
  played.refusal = { errno, noted: 0 };
  expect(createUserFault(-1).takeEvents()).toEqual([]);
});

test('a closed descriptor is unusable', () => {
  const fd = openSync('/dev/null', 'r');
  createUserFault(fd).close();
  expect(() => fstatSync(fd)).toThrow('EBADF');
});
