import type { ServerResponse } from 'node:http';
import type { Output } from '../kernels/kernel.ts';
import { asciiJson } from './ascii-json.ts';
import { linesOf } from './output-lines.ts';

/** A keepalive is sent after this time without output, so that proxies and clients see a live connection. */
const keepaliveMs = 5000;
/** Bytes that are buffered for a slow client. Above this the code is suspended. */
const maxBufferedBytes = 1024 * 1024;
/** The response to an execution: one object per line, sent as it happens. */
export interface ExecutionStream {
  emit(output: Output): Promise<void> | undefined;
  end(): void;
}

export function openExecutionStream(response: ServerResponse): ExecutionStream {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  let count: number | undefined;
  const timer = setInterval(() => write({ type: 'keepalive' }), keepaliveMs);
  const stopTimer = (): void => clearInterval(timer);
  response.once('close', stopTimer);

  const write = (line: object | string): void => {
    timer.refresh();
    if (!response.destroyed) response.write(`${typeof line === 'string' ? line : asciiJson(line)}\n`);
  };
  /** The number is sent first, even when the kernel never reported one. */
  const number = (executionCount: number): void => {
    if (count !== undefined) return;
    count = executionCount;
    write({ type: 'number_of_executions', execution_count: count });
  };
  return {
    emit: (output) => {
      if (output.type === 'started') number(output.executionCount);
      else number(0);
      for (const line of linesOf(output, new Date())) write(line);
      return response.writableLength > maxBufferedBytes ? untilDrained(response) : undefined;
    },
    end: () => {
      stopTimer();
      number(0);
      write({ type: 'end_of_execution' });
      response.end();
    },
  };
}

/** Also resolves when the client has disconnected: then no reader is behind. */
async function untilDrained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
