import { createServer, request as sendRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

export interface ProxiedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export type Fault =
  /** Answered in place of the store. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** The connection ends before the store has the request. */
  | { readonly kind: 'refuse' }
  /** The store acts on the request, and the connection ends without its answer. */
  | { readonly kind: 'lose' }
  /** The connection ends after so many bytes of the content. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** A valid response with so many bytes of the content, and a length to match. */
  | { readonly kind: 'shorten'; readonly bytes: number }
  /** Other bytes of the same number. */
  | { readonly kind: 'corrupt' }
  /** After so many bytes, one byte each 20 ms. */
  | { readonly kind: 'drip'; readonly afterBytes: number }
  /** No answer. */
  | { readonly kind: 'hang' };

export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  /** Everything since the last call of `use`. */
  readonly requests: readonly ProxiedRequest[];
  /** Decides about each request from now on. */
  use(rule: (request: ProxiedRequest, number: number) => Fault | undefined): void;
}

/** Does before a request what the store lacks. Returns an answer in its place, or undefined. */
export type Amend = (request: ProxiedRequest, upstream: string) => Promise<Fault | undefined>;

/** A proxy in front of a store of a test, that makes faults. */
export async function startFaultProxy(upstream: string, amend?: Amend): Promise<FaultProxy> {
  let rule: (request: ProxiedRequest, number: number) => Fault | undefined = () => undefined;
  let requests: ProxiedRequest[] = [];
  // With `amend`, requests are handled one after the other, as if the store itself did it.
  let before: Promise<unknown> = Promise.resolve();
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    const described = { method, path, headers };
    requests.push(described);
    const fault = rule(described, requests.length);
    const handle = async (): Promise<void> => {
      const instead = fault ?? (await amend?.(described, upstream));
      await forward(upstream, { request, response, fault: instead });
    };
    const handled = amend === undefined ? handle() : before.then(handle);
    before = handled.catch(() => response.destroy());
  });
  // Slow tests must not end connections.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    use(next) {
      rule = next;
      requests = [];
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly fault: Fault | undefined;
}

async function forward(upstream: string, { request, response, fault }: Exchange): Promise<void> {
  if (fault?.kind === 'hang') return;
  if (fault?.kind === 'refuse') return void request.socket.destroy();
  if (fault?.kind === 'answer') {
    request.resume();
    await new Promise((resolve) => request.once('end', resolve));
    return void response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
  }
  const { method, url, headers } = request;
  const outgoing = sendRequest(upstream + (url ?? ''), { method, headers, agent: false });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
  });
  await Promise.all([pipeline(request, outgoing), answered]);
  await answer(await answered, response, fault);
}

async function answer(incoming: IncomingMessage, response: ServerResponse, fault: Fault | undefined): Promise<void> {
  const { statusCode = 500, headers } = incoming;
  if (fault?.kind === 'lose') {
    for await (const _ of incoming) continue;
    return void response.destroy();
  }
  if (fault?.kind === 'shorten') response.writeHead(statusCode, { ...headers, 'content-length': String(fault.bytes) });
  else response.writeHead(statusCode, headers);
  await pipeline(withFault(incoming, response, fault), response, { end: true }).catch(() => response.destroy());
}

async function* withFault(
  incoming: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): AsyncGenerator<Uint8Array> {
  let passed = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    if (fault?.kind === 'corrupt') yield Buffer.from(chunk.map((byte) => byte ^ 1));
    else if (fault?.kind === 'shorten') {
      if (passed < fault.bytes) yield chunk.subarray(0, fault.bytes - passed);
    } else if (fault?.kind === 'cut' || fault?.kind === 'drip') {
      const whole = chunk.subarray(0, Math.max(0, fault.afterBytes - passed));
      if (whole.length > 0) yield whole;
      if (fault.kind === 'cut' && whole.length < chunk.length) {
        // Let what was written leave first.
        await setTimeout(20);
        response.destroy();
        return;
      }
      for (const byte of chunk.subarray(whole.length)) {
        await setTimeout(20);
        if (response.destroyed) return;
        yield Buffer.of(byte);
      }
    } else yield chunk;
    passed += chunk.length;
  }
}
