import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { callErrorFrom } from '@soulbox/client/connect';
import type { InputQueue } from './input-queue.ts';
import type { ProcessClient } from './reach-processes.ts';

/** envd takes up to 1 MiB, and reads a message as a whole. */
const messageBytes = 256 * 1024;
/** A program may read its input as slowly as it likes. But a connection that has died while it waits says nothing. */
const writeMs = 20_000;
const againMs = 200;

/** Ends the input of a terminal: at the beginning of a line once, otherwise the first one sends the line. */
const endOfTransmission = 0x04;

export interface InputTarget {
  readonly client: Pick<ProcessClient, 'write' | 'closeInput'>;
  readonly processId: string;
  readonly isTerminal: boolean;
  readonly signal: AbortSignal;
}

/**
 * Sends all input to a process, each byte once, over as many connections as it takes. Resolves when it has sent the end
 * of the input, or when the program takes no more. Throws when it may not write.
 */
export async function sendInput(input: InputQueue, target: InputTarget): Promise<void> {
  const { client, processId, isTerminal, signal } = target;
  const writer = randomUUID();
  let position = 0n;
  let last = 0x0a;
  const send = async (bytes: Uint8Array): Promise<boolean> => {
    for (let at = 0; at < bytes.length; at += messageBytes) {
      const data = bytes.subarray(at, at + messageBytes);
      const request = { processId, writer, input: { position, data } };
      if (!(await untilTaken(async () => await client.write(request, { signal, timeoutMs: writeMs }), signal)))
        return false;
      position += BigInt(data.length);
      last = data.at(-1) ?? last;
    }
    return true;
  };
  for (let bytes = await input.take(); bytes !== undefined; bytes = await input.take())
    if (!(await send(bytes))) return;
  if (!isTerminal) {
    await untilTaken(async () => await client.closeInput({ processId }, { signal, timeoutMs: writeMs }), signal);
    return;
  }
  const ends = last === 0x0a || last === 0x0d || last === endOfTransmission ? 1 : 2;
  await send(new Uint8Array(ends).fill(endOfTransmission));
}

/** Whether the process has taken it. False: it takes no more, or nobody waits for it any longer. */
async function untilTaken(call: () => Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    try {
      await call();
      return true;
    } catch (thrown) {
      if (signal.aborted) return false;
      const { code } = callErrorFrom(thrown, true);
      // The program has ended, or has closed its input. As over a pipe, what was sent is lost.
      if (code === 'failed_precondition' || code === 'not_found') return false;
      // The reader of the output decides when a server is away for too long.
      if (code !== 'deadline_exceeded' && code !== 'unavailable') throw thrown;
      await sleep(againMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
