import type { IncomingMessage } from 'node:http';
import type { FunctionLog } from '../log/function-log.ts';

/** Returns a function that logs the request when it is over. The query is left out because it may contain keys. */
export function countRequest(request: IncomingMessage, log: FunctionLog): (status: number) => void {
  const startedAt = performance.now();
  return (status) => {
    const ms = Math.round(performance.now() - startedAt);
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const level = status >= 500 ? 'error' : 'info';
    log.add({ source: 'request', level, message: `${request.method ?? ''} ${path} ${status} ${ms}ms` });
  };
}
