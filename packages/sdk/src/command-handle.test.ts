import { expect, test } from 'vitest';
import { followCommand } from './command-handle.ts';
import type { OutputEvent, SandboxProcess } from './process-types.ts';

const kib = 1024;
const exit = { code: 0, signal: 0, status: 'exit status 0', cause: 'own', endedAt: new Date() } as const;

/** A process that prints `parts` of 1 KiB and waits until all but `roomBytes` of them are acknowledged. */
function waitingProcess(
  parts: number,
  roomBytes: number,
  acknowledge: SandboxProcess['acknowledge'],
): Pick<SandboxProcess, 'acknowledge'> & Pick<Parameters<typeof followCommand>[1], 'read'> {
  let acknowledged = 0;
  let wake = (): void => undefined;
  return {
    async acknowledge(position, options) {
      await acknowledge(position, options);
      acknowledged = Math.max(acknowledged, position);
      wake();
    },
    async *read(): AsyncGenerator<OutputEvent> {
      for (let position = 0; position < parts * kib; position += kib) {
        while (position + kib - acknowledged > roomBytes) await new Promise<void>((resolve) => (wake = resolve));
        const data = new Uint8Array(kib).fill(0x61);
        yield { type: 'output', stream: 'stdout', position, streamPosition: position, data };
      }
      yield { type: 'ended', position: parts * kib, exit };
    },
  };
}

const follow = ({ read, ...process }: ReturnType<typeof waitingProcess>): ReturnType<typeof followCommand> =>
  followCommand(process as SandboxProcess, { read, waitingLogBytes: 8 * kib });

test('acknowledgements that fail are sent again, and the command is not given up', async () => {
  const calls: number[] = [];
  const process = waitingProcess(20, 8 * kib, async (position) => {
    calls.push(position);
    await Promise.resolve();
    if (calls.length <= 8) throw new Error('away');
  });
  const { stdout } = await follow(process).wait();
  expect(stdout).toBe('a'.repeat(20 * kib));
});

test('an acknowledgement in progress ends with the reading', async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const process = waitingProcess(1, 8 * kib, async (_position, { signal } = {}) => {
    signals.push(signal);
    await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))));
  });
  const handle = follow(process);
  while (signals.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await handle.disconnect();
  expect(signals[0]?.aborted).toBe(true);
});
