import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { headers as headerNames } from '@soulbox/contract';
import { text } from 'node:stream/consumers';

export interface SeenCall {
  /** For example `POST /snapshots/x/fork`, with the query. */
  readonly line: string;
  readonly key: string | undefined;
  readonly body: unknown;
  /** The value of the header. */
  readonly isolation: string | undefined;
  /** The value of the header. */
  readonly idempotencyKey: string | undefined;
}

/** A response of the scripted API; an object is sent as JSON. */
export interface ScriptedAnswer {
  readonly status: number;
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ScriptedApi extends AsyncDisposable {
  /** The variables that a client needs to find it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly seen: readonly SeenCall[];
}

/**
 * Returns `answers` in order for any requests, and records the requests. For responses that a real server rarely gives.
 */
export async function startScriptedApi(answers: readonly ScriptedAnswer[]): Promise<ScriptedApi> {
  const seen: SeenCall[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { status, body: answer, headers } = answers[seen.length] ?? { status: 500, body: 'nothing left to say' };
      const key = request.headers['x-api-key'];
      seen.push({
        line: `${request.method ?? ''} ${request.url ?? ''}`,
        key: typeof key === 'string' ? key : undefined,
        body: body === '' ? undefined : body.startsWith('{') ? JSON.parse(body) : body,
        idempotencyKey: request.headers[headerNames.idempotencyKey]?.toString(),
        isolation: request.headers[headerNames.isolation]?.toString(),
      });
      response.writeHead(status, { ...headers });
      response.end(typeof answer === 'object' ? JSON.stringify(answer) : answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    environment: { E2B_API_URL: `http://127.0.0.1:${port}/`, E2B_API_KEY: 'e2b_test' },
    seen,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
