import { randomUUID } from 'node:crypto';
import type { Emit, Output } from '../kernel.ts';
import { KernelEnded } from '../kernel.ts';
import type { Channel, ExecutionProgress } from './execution-progress.ts';
import { createExecutionProgress } from './execution-progress.ts';
import type { JupyterMessage } from './message.ts';
import { decodeMessage, encodeRequest } from './message.ts';
import { connectWhenThere, waitUntilHeard } from './wait-for-kernel.ts';

/** Ports for a connection file with the transport ipc: the sockets are files named `<ip>-<port>`. */
export const ports = { shell: 1, iopub: 2, stdin: 3, control: 4, heartbeat: 5 } as const;

/** Controls the program behind a connection. */
export interface Program {
  /** Suspends the program until `release`. */
  hold(): void;
  release(): void;
  kill(): void;
  readonly ended: Promise<string>;
}

export interface JupyterConnection {
  /** Runs code. Silent code is not counted and its outputs are dropped. Rejects with KernelEnded. */
  execute(code: string, emit: Emit, options: { readonly silent: boolean }): Promise<void>;
  close(): void;
}

interface Running {
  readonly id: string;
  readonly emit: Emit;
  readonly progress: ExecutionProgress;
  timer: NodeJS.Timeout | undefined;
  readonly finish: () => void;
  readonly fail: (error: Error) => void;
}

/** Connects to the kernel whose sockets are at `<prefix>-<port>` and waits until it answers. */
export async function connectJupyter(prefix: string, program: Program): Promise<JupyterConnection> {
  const { ended } = program;
  let running: Running | undefined;
  let heard: ((channel: Channel) => void) | undefined;
  let behind = 0;

  const publish = (to: Running, output: Output): void => {
    const caughtUp = to.emit(output);
    if (caughtUp === undefined) return;
    // A kernel drops output that its reader does not take in time, so the whole program is suspended.
    if (behind++ === 0) program.hold();
    void caughtUp.finally(() => {
      if (--behind === 0) program.release();
    });
  };
  const take = (current: Running, channel: Channel, message: JupyterMessage): void => {
    const output = current.progress.take(channel, message);
    if (output !== undefined) publish(current, output);
    clearTimeout(current.timer);
    const { waitMs } = current.progress;
    if (waitMs === 0) current.finish();
    else if (waitMs !== undefined) current.timer = setTimeout(current.finish, waitMs);
  };
  const handlers = (channel: Channel) => ({
    onMessage: (frames: readonly Buffer[]) => {
      heard?.(channel);
      const message = decodeMessage(frames);
      if (message === undefined || running === undefined || message.parentId !== running.id) return;
      take(running, channel, message);
    },
    // A kernel without a connection is useless. Usually it has already ended, and `ended` says how.
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
          const state = { progress: createExecutionProgress(), timer: undefined };
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
