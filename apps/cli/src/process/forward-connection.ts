import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { CallError } from '@soulbox/client';
import { attachProcess } from '@soulbox/client/process';
import { insideProgram } from '@soulbox/contract';
import { LogPolicy, OutputStream } from '@soulbox/contract/process-v1';
import { createAcknowledger } from './acknowledge.ts';
import { createInputQueue } from './input-queue.ts';
import { patience } from './reach-processes.ts';
import type { ReachedProcesses } from './reach-processes.ts';
import { sendInput } from './send-input.ts';
import { trySignal } from './signals.ts';

/** The exit code of the relay if nothing listens on the port. */
const refusedCode = 3;

/**
 * Runs inside the sandbox: joins its input and output with a port on loopback, so that it reaches what listens there only.
 * An end of the input is passed on. The end of the other side ends it.
 */
const relay = `
const { connect } = require('node:net');
const hosts = ['127.0.0.1', '::1'];
const dial = () => {
  const socket = connect({ host: hosts.shift(), port: Number(process.argv[1]), allowHalfOpen: true });
  let isOpen = false;
  socket.once('connect', () => {
    isOpen = true;
    process.stdin.pipe(socket);
    socket.pipe(process.stdout, { end: false });
    socket.once('end', () => { process.stdin.destroy(); socket.end(); });
  });
  socket.once('error', () => {
    if (!isOpen && hosts.length > 0) dial();
    else process.exit(isOpen ? 1 : ${refusedCode});
  });
};
dial();
`;

/** Output that waits for a client that reads slowly. */
const logBytes = 4n * 1024n * 1024n;
const keepSeconds = 10;
const startMs = 30_000;

/**
 * Joins a connection with a port of the sandbox, over a process in it. Each byte arrives once, also when the connection to
 * the server breaks. Resolves when it has ended, with `refused` if nothing listens there. Throws what `faultFrom` explains.
 */
export async function forwardConnection(
  socket: Socket,
  sandbox: ReachedProcesses,
  port: number,
): Promise<'ended' | 'refused'> {
  const stop = new AbortController();
  const state: { fault?: unknown } = {};
  const fail = (fault: unknown): void => {
    state.fault ??= fault;
    stop.abort();
  };
  socket.on('error', () => undefined).once('close', () => stop.abort());
  const processId = `cli-${randomUUID()}`;
  const { signal } = stop;
  const queue = createInputQueue(socket);
  socket.on('data', (bytes: Buffer) => queue.push(bytes)).once('end', () => queue.end());
  let hasEnded = false;
  try {
    const { command, args } = insideProgram(relay, [String(port)]);
    await sandbox.client.start(
      {
        ...{ id: processId, hasInput: true, command: { program: command, args: [...args] }, keepSeconds },
        log: { policy: LogPolicy.BLOCK, maxBytes: logBytes },
      },
      { signal, timeoutMs: startMs },
    );
    sendInput(queue, { client: sandbox.patient, processId, isTerminal: false, signal }).catch(fail);
    const acknowledger = createAcknowledger(sandbox.patient, processId, signal);
    const onResume = (error: CallError | undefined): void => {
      sandbox.onResume(`port ${port}`, error);
      void sandbox.checkAlive().catch(fail);
    };
    for await (const event of attachProcess(sandbox.patient, { processId }, { retry: patience, signal, onResume })) {
      if (event.case === 'output') {
        const { stream, data, position } = event.value;
        if (stream === OutputStream.STDOUT && !socket.write(data)) await once(socket, 'drain', { signal });
        acknowledger.report(position + BigInt(data.length));
      }
      if (event.case !== 'ended') continue;
      hasEnded = true;
      if (event.value.exit?.code === 0) socket.end();
      else socket.resetAndDestroy();
      return event.value.exit?.code === refusedCode ? 'refused' : 'ended';
    }
    return 'ended';
  } catch (thrown) {
    if (state.fault === undefined && signal.aborted) return 'ended';
    throw state.fault ?? thrown;
  } finally {
    stop.abort();
    queue.end();
    // A client that has gone, or that cannot be served.
    if (!hasEnded) {
      socket.destroy();
      await trySignal(sandbox.client, processId, 'SIGKILL');
    }
  }
}
