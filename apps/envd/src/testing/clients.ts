import type { Client, Interceptor } from '@connectrpc/connect';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Filesystem } from '@soulbox/contract/filesystem';
import type { ProcessEvent, StartResponse } from '@soulbox/contract/process';
import { Process } from '@soulbox/contract/process';
import { ProcessService } from '@soulbox/contract/process-v1';

export interface ProtocolOptions {
  readonly protocol: 'connect' | 'grpc' | 'grpc-web';
  readonly httpVersion: '1.1' | '2';
  readonly useBinaryFormat: boolean;
}

/** The protocol of the official clients. */
export const officialProtocol: ProtocolOptions = { protocol: 'connect', httpVersion: '1.1', useBinaryFormat: false };

export function createClients(
  baseUrl: string,
  options: ProtocolOptions = officialProtocol,
  headers: Record<string, string> = {},
) {
  const { httpVersion, useBinaryFormat } = options;
  const interceptors: Interceptor[] = [
    (next) => async (request) => {
      for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
      return await next(request);
    },
  ];
  const common = { baseUrl, httpVersion, useBinaryFormat, interceptors };
  const transport =
    options.protocol === 'connect'
      ? createConnectTransport(common)
      : options.protocol === 'grpc'
        ? createGrpcTransport(common)
        : createGrpcWebTransport(common);
  return {
    process: createClient(Process, transport),
    filesystem: createClient(Filesystem, transport),
    streams: createClient(ProcessService, transport),
  };
}

export function asUser(name: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Basic ${Buffer.from(`${name}:`).toString('base64')}` } };
}

export interface Outcome {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly pty: string;
  readonly end: { exitCode: number; exited: boolean; status: string; error?: string } | undefined;
}

/** Collects all events of a stream. */
export async function collect(stream: AsyncIterable<Pick<StartResponse, 'event'>>): Promise<Outcome> {
  const output: Record<string, Buffer[]> = { stdout: [], stderr: [], pty: [] };
  let pid = 0;
  let end: Outcome['end'];
  for await (const { event } of stream) {
    const inner: ProcessEvent['event'] | undefined = event?.event;
    if (inner?.case === 'start') pid = inner.value.pid;
    if (inner?.case === 'end') {
      const { exitCode, exited, status, error } = inner.value;
      end = { exitCode, exited, status, ...(error === undefined ? {} : { error }) };
    }
    if (inner?.case === 'data' && inner.value.output.case !== undefined) {
      output[inner.value.output.case]?.push(Buffer.from(inner.value.output.value));
    }
  }
  const text = (name: string): string => Buffer.concat(output[name] ?? []).toString();
  return { pid, stdout: text('stdout'), stderr: text('stderr'), pty: text('pty'), end };
}

/** Runs a shell line without input, like `commands.run`. */
export async function runShell(client: Client<typeof Process>, line: string, options: object = {}): Promise<Outcome> {
  const process = { cmd: '/bin/bash', args: ['-l', '-c', line] };
  return await collect(client.start({ process, stdin: false }, options));
}

/** Starts a process, leaves its stream open and returns its pid. */
export async function startInBackground(
  process: Client<typeof Process>,
  request: Parameters<Client<typeof Process>['start']>[0],
  options: object = {},
) {
  const abort = new AbortController();
  const stream = process.start(request, { ...options, signal: abort.signal })[Symbol.asyncIterator]();
  const first = await stream.next();
  const event = first.done === true ? undefined : first.value.event?.event;
  const rest = collect({ [Symbol.asyncIterator]: () => stream });
  rest.catch(() => undefined);
  return { pid: event?.case === 'start' ? event.value.pid : 0, rest, disconnect: () => abort.abort() };
}
