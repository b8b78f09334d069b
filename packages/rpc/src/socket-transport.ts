import { createConnection } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Interceptor, Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { isNodeError } from '@soulbox/base';
import { messageMaxBytes, sessionMemoryMib, sessionSettings } from './limits.ts';

/** Only a formality: the connection is made to the socket. */
const baseUrl = 'http://localhost';

/** The longest time that a timer of Node.js can run: 24 days. */
const neverMs = 2 ** 31 - 1;

/**
 * Calls another process of this host over its Unix socket. One HTTP/2 connection serves all calls and is reopened after
 * it broke. If the process is away or ends in the middle of a call, the call fails at once with `Code.Unavailable`:
 * nothing here waits or retries.
 */
export function createSocketTransport(path: string): Transport {
  return createConnectTransport({
    httpVersion: '2',
    baseUrl,
    nodeOptions: {
      createConnection: () => createConnection({ path }),
      settings: sessionSettings,
      maxSessionMemory: sessionMemoryMib,
    },
    idleConnectionTimeoutMs: neverMs,
    readMaxBytes: messageMaxBytes,
    useBinaryFormat: true,
    acceptCompression: [],
    interceptors: [tellBrokenConnections],
  });
}

const tellBrokenConnections: Interceptor = (next) => async (request) => {
  const { signal } = request;
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: told(response.message, signal) } : response;
  } catch (thrown) {
    throw unavailableIfBroken(thrown, signal);
  }
};

async function* told<Message>(messages: AsyncIterable<Message>, signal: AbortSignal): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (thrown) {
    throw unavailableIfBroken(thrown, signal);
  }
}

/**
 * Errors of system calls and of HTTP/2 are not answers of the server. HTTP/2 streams end as canceled when the other
 * side is gone, as if this side had canceled them.
 */
function unavailableIfBroken(thrown: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return thrown;
  const error = ConnectError.from(thrown);
  const isBroken = error.code === Code.Aborted || isNodeError(error.cause) || /^http\/2 /.test(error.rawMessage);
  return isBroken ? new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error) : thrown;
}
