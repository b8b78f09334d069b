/** @module-tag violation */
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { Programs, TerminalSize } from '@soulbox/envd-client';
import { expect, it } from 'vitest';
import { openPair, roomy } from '../testing/session-pair.ts';
import { runChannel } from './run-channel.ts';

/** A program that runs until `end`, in a sandbox that does with input, signals and sizes what `script` says. */
async function start(script: Partial<Programs>) {
  const pair = await openPair(1 << 20);
  const ended = Promise.withResolvers<{ exitCode: number; status: string; error: string }>();
  const programs = {
    run: async ({ onStart }: { onStart: (pid: number) => void }) => {
      onStart(1);
      return await ended.promise;
    },
    ...script,
  } as unknown as Programs;
  const seen = { errors: '', exit: undefined as number | undefined };
  pair.channel.stderr.on('data', (bytes: Buffer) => (seen.errors += String(bytes)));
  pair.channel.on('exit', (status: number) => (seen.exit = status)).resume();
  const running = runChannel(pair.server, {
    ...{ command: { command: 'x', args: [] }, env: {}, terminal: { columns: 1, rows: 1 }, outlet: roomy },
    sandbox: { programs, dial: () => Promise.reject(new Error('none')), [Symbol.dispose]: () => undefined },
    ...{ onEnd: () => undefined, logger: silentLogger },
  });
  const end = (): void => ended.resolve({ exitCode: 3, status: 'exited', error: '' });
  return { pair, running, seen, end, [Symbol.asyncDispose]: async () => await pair[Symbol.asyncDispose]() };
}

it('tells that input was lost, and ends', async () => {
  await using test = await start({
    sendInput: () => Promise.reject(new SoulBoxError('sandbox_unreachable', 'Too late.')),
    startDetached: () => Promise.resolve(2),
  });
  test.pair.channel.write('input');
  await expect.poll(() => test.seen).toEqual({ errors: 'soulbox: Too late.\r\n', exit: 255 });
});

it('lets a program that has closed its input go on', async () => {
  await using test = await start({ sendInput: () => Promise.reject(new SoulBoxError('process_state', 'Closed.')) });
  test.pair.channel.write('input');
  await new Promise((resolve) => setTimeout(resolve, 100));
  test.end();
  await expect.poll(() => test.seen).toEqual({ errors: '', exit: 3 });
});

it('has a bounded number of signals and one size on their way', async () => {
  const sizes: TerminalSize[] = [];
  let signals = 0;
  const release = Promise.withResolvers<undefined>();
  await using test = await start({
    startDetached: async () => {
      signals += 1;
      await release.promise;
      return 2;
    },
    resize: async (_pid, size) => {
      sizes.push(size);
      await release.promise;
    },
  });
  for (let count = 1; count <= 100; count += 1) {
    test.running.signal('INT');
    test.running.resize({ columns: count, rows: 1 });
    if (count === 1) await expect.poll(() => sizes).toHaveLength(1);
  }
  await expect.poll(() => signals).toBe(8);
  release.resolve(undefined);
  await expect.poll(() => sizes.map(({ columns }) => columns)).toEqual([1, 100]);
  test.end();
});
