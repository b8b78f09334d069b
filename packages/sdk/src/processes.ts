import type { CallError } from '@soulbox/client';
import { attachProcess, runProcess } from '@soulbox/client/process';
import type { Attachment, RunOptions } from '@soulbox/client/process';
import type { Process } from '@soulbox/contract/process-v1';
import { resumption, waitMs } from './envd.ts';
import type { Envd } from './envd.ts';
import type { RequestOptions } from './config.ts';
import { errorFrom, rethrow, SoulBoxError } from './error.ts';
import type { OutputEvent, Processes, ProcessOptions, SandboxProcess } from './process-types.ts';
import { eventFromWire, exitFromWire, fromToWire, infoFromWire, positionToWire, startToWire } from './process-wire.ts';

/** The largest piece of input of one message. */
const inputBytesMax = 1024 * 1024;
const sigkill = 9;

/** @internal */
export function createProcesses(envd: Envd): Processes {
  const client = envd.processes;
  const list = async (options?: RequestOptions): Promise<Process[]> =>
    (await client.list({}, envd.callOptions(options)).catch(rethrow)).processes;
  return {
    attach: (processId, from = 'oldest', options = {}) =>
      readOutput(envd, { processId, from: fromToWire(from) }, options.signal),
    async list(options) {
      return (await list(options)).map(infoFromWire);
    },
    async get(idOrPid, options) {
      if (typeof idOrPid === 'number') {
        const found = (await list(options)).find(({ pid, exit }) => pid === idOrPid && exit === undefined);
        if (found !== undefined) return createProcess(envd, found.id, found.pid);
        throw new SoulBoxError(`No running process has the pid ${idOrPid}.`, {
          ...{ code: 'not_found', reason: 'process_not_found' },
        });
      }
      const answer = await client.get({ processId: idOrPid }, envd.callOptions(options)).catch(rethrow);
      return createProcess(envd, idOrPid, answer.process?.pid ?? 0);
    },
    async start(program, args = [], options = {}) {
      const { id = randomId(), ...rest } = options;
      const request = startToWire(program, args, { id, ...rest });
      const { process } = await client.start(request, envd.callOptions(options)).catch(rethrow);
      return createProcess(envd, id, process?.pid ?? 0);
    },
  };
}

/** A process, and all its output from the beginning. @internal */
export interface RunningProcess {
  readonly process: SandboxProcess;
  /** To be called once, at once. */
  readonly read: (options: { readonly signal: AbortSignal }) => AsyncIterable<OutputEvent>;
}

/** Starts a process to read it: its first output needs no further request. @internal */
export type RunProcess = (program: string, args: readonly string[], options: ProcessOptions) => Promise<RunningProcess>;

/** @internal */
export function createRunProcess(envd: Envd): RunProcess {
  const { retry, events } = envd.connection;
  const onRetry: RunOptions['onRetry'] = (facts) => events.emit({ target: envd.url, type: 'retry', ...facts });
  return async (program, args, { id = randomId(), ...options }) => {
    const request = { start: startToWire(program, args, { id, ...options }) };
    const running = runProcess(envd.processes, request, { retry, onRetry, signal: envd.signal(options) });
    const { process, opened } = await running.catch(rethrow);
    return {
      process: createProcess(envd, id, process?.pid ?? 0),
      read: ({ signal }) => readOutput(envd, { processId: id, opened }, signal),
    };
  };
}

async function* readOutput(
  envd: Envd,
  attachment: Attachment,
  signal: AbortSignal | undefined,
): AsyncGenerator<OutputEvent> {
  const { events } = envd.connection;
  const stream = `output of process ${attachment.processId}`;
  const onResume = (error: CallError | undefined): void =>
    events.emit({ target: envd.url, type: 'resume', stream, error });
  const options = { retry: resumption, onResume, ...(signal === undefined ? {} : { signal }) };
  try {
    for await (const event of attachProcess(envd.processes, attachment, options)) yield eventFromWire(event);
  } catch (error) {
    throw errorFrom(error);
  }
}

function createProcess(envd: Envd, id: string, pid: number): SandboxProcess {
  const { processes: client, patient } = envd;
  const processId = id;
  const input = { writer: randomId(), position: 0n, last: Promise.resolve() };

  const sendPiece = async (data: Uint8Array, options: RequestOptions | undefined): Promise<void> => {
    const message = { position: input.position, data };
    try {
      await envd.input.write({ processId, writer: input.writer, input: message }, envd.callOptions(options));
      input.position += BigInt(data.length);
    } catch (error) {
      // It is not known how much was applied. Later input must not be taken for a repetition of this.
      Object.assign(input, { writer: randomId(), position: 0n });
      throw error;
    }
  };
  const signal: SandboxProcess['signal'] = async (number, options) => {
    try {
      await client.signal({ processId, signal: number }, envd.callOptions(options));
      return true;
    } catch (thrown) {
      const error = errorFrom(thrown);
      if (error.code === 'not_found' && error.reason !== 'sandbox_not_found') return false;
      if (error.code === 'failed_precondition') return false;
      throw error;
    }
  };
  return {
    id,
    pid,
    signal,
    attach: (from = 'oldest', options = {}) => readOutput(envd, { processId, from: fromToWire(from) }, options.signal),
    async write(data, options) {
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
      // One after another, because each has its position.
      const written = input.last.then(async () => {
        for (let at = 0; at < bytes.length; at += inputBytesMax)
          await sendPiece(bytes.subarray(at, at + inputBytesMax), options);
      });
      input.last = written.catch(() => undefined);
      await written.catch(rethrow);
    },
    async closeInput(options) {
      await input.last;
      await envd.input.closeInput({ processId }, envd.callOptions(options)).catch(rethrow);
    },
    async resize({ cols, rows }, options) {
      await client.resize({ processId, size: { cols, rows } }, envd.callOptions(options)).catch(rethrow);
    },
    kill: async (options) => await signal(sigkill, options),
    async acknowledge(position, options) {
      const request = { processId, position: positionToWire(position) };
      await patient.acknowledge(request, envd.callOptions(options)).catch(rethrow);
    },
    async wait(options = {}) {
      for (;;) {
        const call = envd.callOptions({ ...options, requestTimeoutMs: 0 });
        const { process: waited } = await patient.wait({ processId, maxWaitMs: waitMs }, call).catch(rethrow);
        if (waited?.exit !== undefined) return exitFromWire(waited.exit);
      }
    },
    async getInfo(options) {
      const { process } = await client.get({ processId }, envd.callOptions(options)).catch(rethrow);
      if (process !== undefined) return infoFromWire(process);
      throw new SoulBoxError('The response describes no process.', { code: 'internal', reason: 'invalid_response' });
    },
    async forget(options) {
      await client.forget({ processId }, envd.callOptions(options)).catch(rethrow);
    },
  };
}

/** 128 bits in hexadecimal. @internal */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
