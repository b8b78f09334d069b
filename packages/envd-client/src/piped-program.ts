import { randomBytes } from 'node:crypto';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { CallError, noRetries } from '@soulbox/client';
import { attachProcess, runProcess } from '@soulbox/client/process';
import { LogPolicy, OutputStream, ProcessService } from '@soulbox/contract/process-v1';
import { errorFromEnvd } from './error-from-envd.ts';
import { tenantHeaders } from './tenant-headers.ts';
import { createWayTransport, openWay } from './way.ts';
import type { EnvdTarget } from './way.ts';

/** A program whose input and output are moved completely or not at all, over as many connections as it takes. */
export interface PipedProgram {
  /**
   * The output in order. Reading slowly slows the program down. Returns the exit code, -1 after a signal. To be read
   * once.
   */
  readOutput(): AsyncGenerator<PipedOutput, number>;
  /** Resolves when the program has taken the bytes. False: it reads no more. */
  write(bytes: Uint8Array): Promise<boolean>;
  closeInput(): Promise<void>;
  /** Sends a signal to the program and its children. Does nothing if they have ended. */
  kill(signal: number): Promise<void>;
}

export interface PipedOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

export interface PipedCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: envd's default user. */
  readonly user?: string | undefined;
  readonly hasInput?: boolean;
  /** The program is killed after this time. Absent: never. */
  readonly deadlineMs?: number;
  /** Ends reading and writing, not the program. */
  readonly signal: AbortSignal;
}

/** envd sends output in pieces of up to 128 KiB. */
const maxMessageBytes = 1024 * 1024;
/** Of one message; envd's limit is 1 MiB. */
const inputStepBytes = 512 * 1024;
const callTimeoutMs = 30_000;
/** How long a program may take to read a piece of its input. */
const inputWaitMs = 300_000;
/** Output that the program may be ahead of its reader. */
const logBytes = 4 * 1024 * 1024;
const acknowledgeEachBytes = 1024 * 1024;
/** Each message names its place, or the id of what it starts. */
const safeMethods: ReadonlySet<DescMethod> = new Set<DescMethod>([
  ...[ProcessService.method.start, ProcessService.method.write, ProcessService.method.signal],
]);

/** Its envd is hostile: messages are bounded. Throws what envd reports, and `sandbox_unreachable`. */
export async function startPiped(
  target: EnvdTarget,
  accessToken: string,
  { program, args, env = {}, user, hasInput = false, deadlineMs = 0, signal }: PipedCommand,
): Promise<PipedProgram> {
  const way = openWay(target);
  const transport = createWayTransport(way, { maxMessageBytes, isSafeToRepeat: (method) => safeMethods.has(method) });
  const client = createClient(ProcessService, transport);
  const headers = { ...way.headers, ...tenantHeaders(accessToken, user) };
  const usual = { headers, signal, timeoutMs: callTimeoutMs };
  const processId = `piped-${randomBytes(12).toString('hex')}`;
  const start = {
    id: processId,
    command: { program, args: [...args], env: { ...env } },
    hasInput,
    deadlineMs: BigInt(deadlineMs),
    log: { maxBytes: BigInt(logBytes), policy: LogPolicy.BLOCK },
    keepSeconds: 60,
  };
  const sender: Pick<typeof client, 'attach' | 'run' | 'start'> = {
    attach: (request, options) => client.attach(request, { ...options, headers }),
    run: (request, options) => client.run(request, { ...options, headers }),
    start: async (request, options) => await client.start(request, { ...options, headers }),
  };
  const { opened } = await runProcess(
    sender,
    { start },
    { retry: way.target?.retry ?? noRetries, signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]) },
  ).catch(rethrow(signal));
  let written = 0n;

  async function writeStep(data: Uint8Array): Promise<boolean> {
    const request = { processId, writer: 'pipe', input: { position: written, data } };
    try {
      const { input } = await client.write(request, { ...usual, timeoutMs: inputWaitMs });
      if (input?.closed === true && input.accepted < written + BigInt(data.length)) return false;
    } catch (error) {
      if (error instanceof ConnectError && [Code.FailedPrecondition, Code.NotFound].includes(error.code)) return false;
      return rethrow(signal)(error);
    }
    written += BigInt(data.length);
    return true;
  }

  return {
    async *readOutput() {
      let acknowledged = 0n;
      try {
        for await (const event of attachProcess(sender, { processId, opened }, { signal })) {
          if (event.case === 'ended') {
            // It is forgotten by itself a minute later.
            await client.forget({ processId }, usual).catch(() => undefined);
            return event.value.exit?.code ?? -1;
          }
          if (event.case === 'gap') throw new SoulBoxError('sandbox_unreachable', 'Output of the sandbox was lost.');
          if (event.case !== 'output') continue;
          const { stream, data, position } = event.value;
          yield { stream: stream === OutputStream.STDERR ? 'stderr' : 'stdout', bytes: data };
          const read = position + BigInt(data.length);
          if (read - acknowledged < acknowledgeEachBytes) continue;
          acknowledged = read;
          await client.acknowledge({ processId, position: read }, usual);
        }
      } catch (error) {
        return rethrow(signal)(error);
      }
      throw new SoulBoxError('sandbox_unreachable', 'The sandbox did not report how a program ended.');
    },
    async write(bytes) {
      for (let at = 0; at < bytes.length; at += inputStepBytes) {
        if (!(await writeStep(bytes.subarray(at, at + inputStepBytes)))) return false;
      }
      return true;
    },
    async closeInput() {
      await client.closeInput({ processId }, usual).catch(ignoreEnded(signal));
    },
    async kill(number) {
      // The caller's signal may be the reason for the kill.
      const request = { processId, signal: number };
      await client.signal(request, { headers, timeoutMs: callTimeoutMs }).catch(ignoreEnded(undefined));
    },
  };
}

function ignoreEnded(signal: AbortSignal | undefined): (error: unknown) => void {
  return (error) => {
    if (error instanceof ConnectError && [Code.FailedPrecondition, Code.NotFound].includes(error.code)) return;
    rethrow(signal)(error);
  };
}

function rethrow(signal: AbortSignal | undefined): (error: unknown) => never {
  return (error) => {
    if (signal?.aborted === true) throw signal.reason;
    if (error instanceof CallError)
      throw new SoulBoxError('sandbox_unreachable', 'The connection to the sandbox was lost.', { cause: error });
    throw errorFromEnvd(error);
  };
}
