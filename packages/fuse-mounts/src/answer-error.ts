import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorFromUnknown } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { httpStatusFromError } from '@soulbox/contract';

/** `noun`: what the call was about, for the log. */
export function answerError(
  thrown: unknown,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  { noun, logger }: { readonly noun: string; readonly logger: Logger },
): void {
  const error = errorFromUnknown(thrown);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (error.reason === 'internal') logger.error({ err: thrown }, `a call about a ${noun} failed`);
  // A connection that is closed before all is read may lose the answer. The caller stops sending when it has it.
  request.resume();
  const { reason, message } = error;
  const text = reason === 'internal' ? 'An internal error occurred. The server log has the details.' : message;
  response.writeHead(httpStatusFromError(error), { 'content-type': 'application/json' });
  response.end(JSON.stringify({ reason, message: text }));
}
