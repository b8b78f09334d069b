import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelEnded } from '../kernel.ts';
import { encodeRequest } from './message.ts';
import type { ZmtpSocket } from './zmtp.ts';
import { connectZmtp } from './zmtp.ts';

/** Limit for starting a kernel. R takes 2 s with a cold disk, and many times that on a busy machine. */
const startTimeoutMs = 60_000;
const nudgeMs = 20;

/** Connects once the kernel listens at `path`. */
export async function connectWhenThere(
  path: string,
  type: 'DEALER' | 'SUB',
  handlers: Parameters<typeof connectZmtp>[2],
  ended: Promise<string>,
): Promise<ZmtpSocket> {
  let how: string | undefined;
  void ended.then((text) => (how = text));
  for (const deadline = Date.now() + startTimeoutMs; ;) {
    try {
      return await connectZmtp(path, type, handlers);
    } catch (error) {
      if (how !== undefined) throw new KernelEnded(how, { cause: error });
      if (Date.now() > deadline) throw new Error('The kernel does not respond.', { cause: error });
      await sleep(5);
    }
  }
}

/**
 * A subscription takes effect some time later, and nothing reports when. It is active once a published message has
 * arrived.
 */
export async function waitUntilHeard(
  shell: ZmtpSocket,
  ended: Promise<string>,
  listen: (listener: ((channel: 'shell' | 'iopub') => void) | undefined) => void,
): Promise<void> {
  const missing = new Set(['shell', 'iopub']);
  let how: string | undefined;
  void ended.then((text) => (how = text));
  listen((channel) => {
    missing.delete(channel);
  });
  for (const deadline = Date.now() + startTimeoutMs; missing.size > 0;) {
    if (how !== undefined) throw new KernelEnded(how);
    if (Date.now() > deadline) throw new Error('The kernel does not respond.');
    shell.send(encodeRequest(randomUUID(), 'kernel_info_request', {}));
    await sleep(nudgeMs);
  }
  listen(undefined);
}
