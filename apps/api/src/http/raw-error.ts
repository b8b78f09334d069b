import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import { headers, httpBodyFromError } from '@soulbox/contract';
import { protectiveHeaders } from './protective-headers.ts';
import { requestIdFrom } from './request-log.ts';

/** Node's codes for input that is not a complete request (nodejs.org/api/http.html, event `clientError`). */
function errorFromParser(code: string | undefined): SoulBoxError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new SoulBoxError('request_timeout', 'The request was not received within the time limit.');
  if (code === 'HPE_HEADER_OVERFLOW') return new SoulBoxError('bad_request', 'The headers are larger than 16 KiB.');
  return new SoulBoxError('bad_request', 'The HTTP request is not valid.');
}

/** Sends an error in the common form on the bare socket, and closes the socket. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const fault = errorFromParser(error.code);
  const body = httpBodyFromError(fault);
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${body.code} ${STATUS_CODES[body.code] ?? 'Error'}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(text)}`,
    `${headers.requestId}: ${requestIdFrom(undefined)}`,
    `${headers.reason}: ${fault.reason}`,
    'connection: close',
    ...Object.entries(protectiveHeaders).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}
