import type { IncomingMessage, ServerResponse } from 'node:http';

/** Answers that never end, by whose end callers see that this process is gone. */
export interface AliveCalls extends Disposable {
  answer(request: IncomingMessage, response: ServerResponse): void;
}

export function createAliveCalls(): AliveCalls {
  const open = new Set<ServerResponse>();
  return {
    answer(request, response) {
      open.add(response);
      response.once('close', () => open.delete(response));
      // It is silent by intent.
      request.socket.setTimeout(0);
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.flushHeaders();
    },
    [Symbol.dispose]() {
      for (const response of open) response.destroy();
    },
  };
}
