import { errorFromUnknown, isNodeError, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { errorForCaller, headers, httpBodyFromError } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { ApiContext } from '../context.ts';
import { bodyBytesMax } from '../limits.ts';
import { startRequest } from './request-log.ts';

/** Limit of a message in characters, because it may repeat text of the caller. */
const messageMax = 500;
/** Whole seconds. The official JS client waits this long and retries, up to three times, if that fits into its time-out. */
const retryAfterSeconds = 1;
/** For limits that end only when something is deleted. */
const limitRetryAfterSeconds = 60;

/** Failures that are not faults: the server reports its progress, or a limit of the machine was reached. */
const expected: Partial<Record<Reason, 'info' | 'warn'>> = {
  template_being_made: 'info',
  shutting_down: 'info',
  disk_full: 'warn',
  // Programs in a sandbox cause these.
  port_closed: 'info',
  sandbox_unreachable: 'warn',
};

function noteFailure(error: SoulBoxError, request: FastifyRequest, { failures, logger }: ApiContext): void {
  failures.note(error.reason);
  const { reason, message } = error;
  const facts = { requestId: request.id, route: request.routeOptions.url };
  const level = expected[reason];
  if (level === undefined) logger.error({ ...facts, err: error }, 'request failed');
  else logger[level]({ ...facts, reason, detail: message }, 'request rejected');
}

/** Codes in errors of every route, for cases that the status alone does not identify. */
const errorCodes: Partial<Record<Reason, string>> = { internal: 'internal_server_error', disk_full: 'disk_full' };

/** Converts errors of fastify to ours. Undefined for any other error. */
function errorFromFastify(thrown: unknown): SoulBoxError | undefined {
  if (!isNodeError(thrown)) return undefined;
  if (hasZodFastifySchemaValidationErrors(thrown))
    return new SoulBoxError('bad_request', `The request is not valid: ${(thrown as unknown as Error).message}`);
  switch (thrown.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new SoulBoxError('body_too_large', `The request body is larger than ${bodyBytesMax} bytes.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new SoulBoxError('unsupported_media_type', 'The Content-Type must be application/json.');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new SoulBoxError('route_not_found', 'A segment of the path is too long.');
    case 'FST_ERR_BAD_URL':
      return new SoulBoxError('bad_request', 'The URL is not valid.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new SoulBoxError('bad_request', 'The length of the request body does not match Content-Length.');
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new SoulBoxError('bad_request', 'The request body is not valid JSON.');
    default:
      return undefined;
  }
}

/** Fills the reply with an error in the form that all clients read. Logs faults of the server with their cause. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply, context: ApiContext): void {
  const error = errorFromFastify(thrown) ?? errorFromUnknown(thrown);
  startRequest(request, reply);
  // fastify closes the connection after a body that is too large. If the gateway is still writing, the close can
  // overtake the response. Without the close, Node reads and discards the rest within the time limit of a request.
  void reply.removeHeader('connection');
  const body = httpBodyFromError(error);
  if (body.code >= 500 && body.code !== 501) noteFailure(error, request, context);
  if (body.code === 429) context.failures.noteRefusal(error.reason);
  const hint =
    error.retryAfterSeconds ?? (error.reason === 'limit_exceeded' ? limitRetryAfterSeconds : retryAfterSeconds);
  const isKnown = error.retryAfterSeconds !== undefined || body.code === 429;
  if (isKnown && !reply.hasHeader('retry-after')) void reply.header('retry-after', String(hint));
  const { message } = errorForCaller(error);
  void reply.header(headers.reason, error.reason);
  const errorCode = request.routeOptions.config.errorCodes?.[error.reason] ?? errorCodes[error.reason];
  void reply.code(body.code).send({
    code: request.routeOptions.config.hasNamedErrors === true ? error.reason : body.code,
    message: message.length > messageMax ? `${message.slice(0, messageMax)}…` : message,
    ...(errorCode === undefined ? {} : { error_code: errorCode }),
  });
}
