import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';
import type { DiskBudget, DiskFigures } from './budget.ts';
import { whileRoom } from './host-work.ts';

const mib = 2 ** 20;
const nobody = new AbortController().signal;

/** A disk on which reserved room counts as committed, as in the budget. */
function disk(freeMib: number): Pick<DiskBudget, 'admit' | 'figures'> & { freeMib: number; heldMib: number } {
  const reserveMib = 100;
  return {
    freeMib,
    heldMib: 0,
    admit(bytes) {
      if (bytes / mib > this.freeMib - reserveMib - this.heldMib) throw new Error('no room');
      this.heldMib += bytes / mib;
      return { [Symbol.dispose]: () => void (this.heldMib -= bytes / mib) };
    },
    figures() {
      const bytes = {
        freeBytes: this.freeMib * mib,
        reserveBytes: reserveMib * mib,
        committedBytes: this.heldMib * mib,
      };
      return bytes as DiskFigures;
    },
  };
}

const untilAborted = async (signal: AbortSignal): Promise<never> => {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  throw new Error('killed by SIGTERM');
};

test('the work is done, and its room is released', async () => {
  const host = disk(1000);
  const result = await whileRoom(host, { what: 'It', signal: nobody }, async () => {
    expect(host.heldMib).toBe(256);
    return await Promise.resolve('done');
  });
  expect([result, host.heldMib]).toEqual(['done', 0]);
});

test('without room the work is not started', async () => {
  let begun = false;
  const work = async (): Promise<void> => await Promise.resolve(void (begun = true));
  await expect(whileRoom(disk(300), { what: 'It', signal: nobody }, work)).rejects.toThrow('no room');
  expect(begun).toBe(false);
});

test('the work is aborted with a reason before it uses promised space', async () => {
  const host = disk(1000);
  const work = whileRoom(host, { what: 'The image', signal: nobody }, untilAborted);
  await sleep(300);
  expect(host.heldMib).toBe(256);
  host.freeMib = 355;
  await expect(work).rejects.toMatchObject({
    reason: 'disk_full',
    message: "The image was stopped because the rest of the host's disk is reserved or promised to sandboxes.",
  });
  expect(host.heldMib).toBe(0);
});

test('the caller can abort the work, and its own errors are passed on unchanged', async () => {
  const host = disk(1000);
  const stop = new AbortController();
  const work = whileRoom(host, { what: 'It', signal: stop.signal }, untilAborted);
  stop.abort();
  await expect(work).rejects.toThrow('killed by SIGTERM');
});
