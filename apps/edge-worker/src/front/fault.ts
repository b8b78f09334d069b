import type { ServerResponse } from 'node:http';

/**
 * Sends an error response of the supervisor, in the form of all SoulBox errors. Destroys the connection if a response
 * has already started.
 */
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
    // The rest of the request body is not read.
    ...(code === 413 ? { connection: 'close' } : {}),
  });
  response.end(body);
}
