import type { Duplex } from 'node:stream';
import type { Logger } from '@soulbox/base';
import { insideProgram } from '@soulbox/contract';
import type { Sandbox } from '../sandbox/sandbox.ts';

/** A program in the sandbox that listens on a port there (apps/sftp-server/src/remote-listener.ts). */
export interface Listener extends Disposable {
  readonly port: number;
  /** Fetches a connection. */
  fetch(client: ListenerClient): Promise<Duplex>;
  /** Ends a connection that was not fetched. */
  refuse(client: ListenerClient): void;
}

/** What has connected to the port, as the sandbox reports it. */
export interface ListenerClient {
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

export interface ListenerOptions {
  readonly sandbox: Pick<Sandbox, 'dial'> & { readonly programs: Pick<Sandbox['programs'], 'run'> };
  /** As one module. */
  readonly program: string;
  /** 0: any. */
  readonly port: number;
  /** Must return at once. */
  readonly onClient: (client: ListenerClient) => void;
  /** It has ended, and was not disposed. */
  readonly onEnd: () => void;
  readonly logger: Logger;
}

const startMs = 15_000;
/** What the program may print, and the longest line of its control connection. */
const lineMaxBytes = 128;
/** Refusals that the program does not read. */
const refusalsMaxBytes = 4096;

/** Rejects if the port is taken or not allowed to the user. Everything that the program says is hostile. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { sandbox, port: wanted, onClient, onEnd, logger } = options;
  const stop = new AbortController();
  const { door, port, token } = await startProgram(options, stop);
  if (wanted !== 0 && port !== wanted) {
    stop.abort();
    throw new Error('The program listens on another port.');
  }
  const control = await sandbox.dial(door, { privatePort: port }).catch((error: unknown) => {
    stop.abort();
    throw error;
  });
  const ready = Promise.withResolvers<undefined>();
  const onLine = (line: string): void => {
    if (line === 'ready') ready.resolve(undefined);
    else onClient(clientFrom(line));
  };
  const lost = (err?: unknown): void => {
    if (err !== undefined) logger.debug({ err }, 'a listener in a sandbox was ended');
    control.destroy();
    ready.reject(new Error('The listener did not become ready.'));
  };
  const timer = setTimeout(lost, startMs);
  control.write(`${token}\n`);
  readLines(control, onLine).then(() => lost(), lost);
  await ready.promise.finally(() => clearTimeout(timer));
  let isDisposed = false;
  const end = (): void => {
    if (!isDisposed) onEnd();
  };
  if (control.closed) setImmediate(end);
  else control.once('close', end);
  return {
    port,
    async fetch({ id }) {
      const connection = await sandbox.dial(door);
      connection.write(`${token} ${id}\n`);
      return connection;
    },
    refuse({ id }) {
      if (control.writableLength > refusalsMaxBytes) control.destroy();
      else if (!control.destroyed) control.write(`${id}\n`);
    },
    [Symbol.dispose]() {
      isDisposed = true;
      control.destroy();
    },
  };
}

/** The program goes on when this process drops its output. It ends with its control connection. */
async function startProgram(
  { sandbox, program, port }: ListenerOptions,
  stop: AbortController,
): Promise<{ door: number; port: number; token: string }> {
  const line = Promise.withResolvers<string>();
  let text = '';
  const run = sandbox.programs.run(
    { ...insideProgram(program, [String(port)]), signal: stop.signal },
    (stream, bytes) => {
      if (stream === 'stderr' || text.endsWith('\n')) return;
      text += Buffer.from(bytes.subarray(0, lineMaxBytes)).toString('latin1');
      if (text.endsWith('\n')) line.resolve(text);
      else if (text.length >= lineMaxBytes) line.reject(new Error('The listener printed too much.'));
    },
  );
  run.then(
    ({ status }) => line.reject(new Error(`The listener ended: ${status}.`)),
    (error: unknown) => line.reject(error as Error),
  );
  const timer = setTimeout(() => line.reject(new Error('The listener did not start in time.')), startMs);
  try {
    const found = /^(\d{1,5}) (\d{1,5}) ([\da-f]{32})\n$/.exec(await line.promise);
    const [door, opened] = [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)];
    if (found === null || !isPort(door) || !isPort(opened)) throw new Error('The listener printed something else.');
    return { door, port: opened, token: found[3] ?? '' };
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function readLines(control: Duplex, onLine: (line: string) => void): Promise<void> {
  let rest = '';
  for await (const bytes of control as AsyncIterable<Buffer>) {
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineMaxBytes) throw new Error('A line of a listener is too long.');
    for (const line of lines) onLine(line);
  }
}

function clientFrom(line: string): ListenerClient {
  const [, id = '', address = '', port = ''] = /^(\d{1,10}) ([\da-f.:]{2,45}) (\d{1,5})$/.exec(line) ?? [];
  if (id === '') throw new Error('A line of a listener is malformed.');
  return { id, address, port: Number(port) };
}

const isPort = (port: number): boolean => port >= 1 && port <= 65_535;
