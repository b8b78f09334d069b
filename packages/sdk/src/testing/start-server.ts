import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

export interface SeenRequest {
  /** For example `POST /sandboxes/x/pause`, with the query. */
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** An object is sent as JSON, and an iterable as it goes. */
export interface Answer {
  readonly status: number;
  readonly body?: object | string | Uint8Array | AsyncGenerator<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** Requests without a complete answer. */
  readonly open: number;
}

/** An HTTP server on loopback that records requests. For answers that a real server rarely gives. */
export async function startServer(answer: (request: SeenRequest) => Answer | Promise<Answer>): Promise<TestServer> {
  const seen: SeenRequest[] = [];
  let open = 0;
  const server = createServer((request, response) => {
    open += 1;
    response.once('close', () => (open -= 1));
    void (async () => {
      const { method = '', url = '', headers } = request;
      const next = { line: `${method} ${url}`, headers, body: await buffer(request) };
      seen.push(next);
      const { status, body, headers: sent } = await answer(next);
      response.writeHead(status, { ...sent });
      if (typeof body !== 'object' || body instanceof Uint8Array) response.end(body);
      else if (Symbol.asyncIterator in body) await pipeline(Readable.from(body), response).catch(() => undefined);
      else response.end(JSON.stringify(body));
      // The client has left before its request was complete.
    })().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    get open() {
      return open;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
