import { expect, test } from 'vitest';
import type { OutputEvent, Processes, SandboxProcess } from './process-types.ts';
import { createPty } from './pty.ts';

const exit = { code: 0, signal: 0, status: 'exit status 0', cause: 'own', endedAt: new Date() } as const;

test('a terminal whose log waits for its reader is acknowledged', async () => {
  const acknowledged: number[] = [];
  const data = new Uint8Array(60_000);
  const process: Pick<SandboxProcess, 'pid' | 'acknowledge'> = {
    pid: 7,
    async acknowledge(position) {
      await Promise.resolve();
      acknowledged.push(position);
    },
  };
  async function* read(): AsyncGenerator<OutputEvent> {
    yield await Promise.resolve({ type: 'output', stream: 'terminal', position: 0, streamPosition: 0, data });
    yield { type: 'ended', position: data.length, exit };
  }
  const pty = createPty(
    {} as Processes,
    async () => await Promise.resolve({ process: process as SandboxProcess, read }),
  );
  for (const policy of ['drop-oldest', 'block'] as const)
    await (await pty.create({ cols: 80, rows: 24, onData: () => undefined, log: { policy, maxBytes: 65_536 } })).wait();
  expect(acknowledged).toEqual([60_000]);
});
