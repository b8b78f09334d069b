import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Emit, Output } from '../kernel.ts';
import { KernelEnded } from '../kernel.ts';
import type { JupyterMessage } from './message.ts';
import { decodeMessage, encodeRequest } from './message.ts';
import { outputFromMessage } from './output.ts';
import type { ZmtpSocket } from './zmtp.ts';
import { connectZmtp } from './zmtp.ts';

/** Ports of a connection file with the transport ipc: the sockets are files named `<ip>-<port>`. */
export const ports = { shell: 1, iopub: 2, stdin: 3, control: 4, heartbeat: 5 } as const;

/** Starting a kernel: R's takes 2 s on a cold disk, and a busy machine many times that. */
const startTimeoutMs = 60_000;
const nudgeMs = 20;
/** A kernel publishes `idle` right after its reply. One that was flooded may have lost it: it does not wait for readers. */
const idleGraceMs = 2000;

/** What can be done to the program behind a connection. */
export interface Program {
  /** It stands still until `release`. */
  hold(): void;
  release(): void;
  kill(): void;
  readonly ended: Promise<string>;
}

export interface JupyterConnection {
  /** Runs code; silent code is not counted and its outputs are dropped. Rejects with KernelEnded. */
  execute(code: string, emit: Emit, options: { readonly silent: boolean }): Promise<void>;
  close(): void;
}

interface Running {
  readonly id: string;
  readonly emit: Emit;
  /** An error goes out once, though the kernel tells of it twice. */
  failed: boolean;
  replied: boolean;
  idle: boolean;
  timer: NodeJS.Timeout | undefined;
  readonly finish: () => void;
  readonly fail: (error: Error) => void;
}

/** Connects to the kernel whose sockets are at `<prefix>-<port>` and waits until it answers. */
export async function connectJupyter(prefix: string, program: Program): Promise<JupyterConnection> {
  const { ended } = program;
  let running: Running | undefined;
  let heard: ((channel: 'shell' | 'iopub') => void) | undefined;
  let behind = 0;

  const publish = (to: Running, output: Output): void => {
    const caughtUp = to.emit(output);
    if (caughtUp === undefined) return;
    // The kernel drops what its reader does not take in time, so it is stopped as a whole.
    if (behind++ === 0) program.hold();
    void caughtUp.finally(() => {
      if (--behind === 0) program.release();
    });
  };
  const settle = (current: Running): void => {
    clearTimeout(current.timer);
    if (current.replied && current.idle) current.finish();
    else if (current.replied) current.timer = setTimeout(current.finish, idleGraceMs);
  };
  const take = (current: Running, channel: 'shell' | 'iopub', message: JupyterMessage): void => {
    if (channel === 'shell' && message.type === 'execute_reply') current.replied = true;
    if (message.type === 'status' && message.content['execution_state'] === 'idle') current.idle = true;
    const output = outputFromMessage(message);
    if (output?.type === 'error') {
      if (!current.failed) publish(current, output);
      current.failed = true;
    } else if (output !== undefined) publish(current, output);
    settle(current);
  };
  const handlers = (channel: 'shell' | 'iopub') => ({
    onMessage: (frames: readonly Buffer[]) => {
      heard?.(channel);
      const message = decodeMessage(frames);
      if (message === undefined || running === undefined || message.parentId !== running.id) return;
      take(running, channel, message);
    },
    // One without a connection is of no use. Mostly it is gone anyway, and `ended` says how.
    onClose: (reason: string | undefined) => {
      if (reason !== undefined) running?.fail(new KernelEnded(reason));
      program.kill();
    },
  });

  const shell = await connectWhenThere(`${prefix}-${ports.shell}`, 'DEALER', handlers('shell'), ended);
  const iopub = await connectWhenThere(`${prefix}-${ports.iopub}`, 'SUB', handlers('iopub'), ended);
  await waitUntilHeard(shell, ended, (listener) => (heard = listener));
  let endedHow: string | undefined;
  void ended.then((how) => {
    endedHow = how;
    running?.fail(new KernelEnded(how));
  });
  return {
    execute: async (code, emit, { silent }) => {
      if (endedHow !== undefined) throw new KernelEnded(endedHow);
      const id = randomUUID();
      try {
        await new Promise<void>((resolve, reject) => {
          const state = { failed: false, replied: false, idle: false, timer: undefined };
          running = { id, emit: silent ? () => undefined : emit, ...state, finish: resolve, fail: reject };
          const content = { code, silent, store_history: !silent, user_expressions: {}, allow_stdin: false };
          shell.send(encodeRequest(id, 'execute_request', { ...content, stop_on_error: false }));
        });
      } finally {
        clearTimeout(running?.timer);
        running = undefined;
      }
    },
    close: () => {
      shell.close();
      iopub.close();
    },
  };
}

async function connectWhenThere(
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
      if (Date.now() > deadline) throw new Error('The kernel does not answer.', { cause: error });
      await sleep(5);
    }
  }
}

/** A subscription takes effect at some later moment, and nothing says when: it has once something was published to us. */
async function waitUntilHeard(
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
    if (Date.now() > deadline) throw new Error('The kernel does not answer.');
    shell.send(encodeRequest(randomUUID(), 'kernel_info_request', {}));
    await sleep(nudgeMs);
  }
  listen(undefined);
}
