import type { ServerResponse } from 'node:http';

/** An answer of the supervisor's own, in the form of all errors of SoulBox. Breaks off an answer that has begun. */
export function answerFault(response: ServerResponse, code: number, message: string): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = JSON.stringify({ code, message });
  response.writeHead(code, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    // What is left of the request's body is not read.
    ...(code === 413 ? { connection: 'close' } : {}),
  });
  response.end(body);
}
