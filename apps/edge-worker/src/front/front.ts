import { Agent, createServer, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, Server, ServerResponse } from 'node:http';
import { EngineFault } from '../engine/engine.ts';
import type { Engine } from '../engine/engine.ts';
import type { EngineLifecycle } from '../engine/engine-lifecycle.ts';
import type { FunctionLog } from '../log/function-log.ts';
import { answerFault } from './fault.ts';
import { requestHeaders, withoutHops } from './headers.ts';
import { countRequest } from './request-line.ts';
import { passUpgrade } from './upgrade.ts';

/** Serves the function's own port: passes requests to the engine and sends an error when the engine does not answer. */
export function createFront(lifecycle: EngineLifecycle, log: FunctionLog): Server {
  // Connections to a killed engine are closed at once because they are local.
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    const entry = lifecycle.enter();
    const line = countRequest(request, log);
    response.once('close', () => {
      line(response.statusCode);
      entry[Symbol.dispose]();
    });
    void passOn(request, response, { lifecycle, agent });
  });
  server.on('upgrade', (request, socket, head) => void passUpgrade({ request, socket, head }, lifecycle, log));
  return server;
}

interface PassOn {
  readonly lifecycle: EngineLifecycle;
  readonly agent: Agent;
}

async function passOn(request: IncomingMessage, response: ServerResponse, options: PassOn): Promise<void> {
  const { lifecycle } = options;
  const limitBytes = lifecycle.settings?.maxBodyBytes ?? 0;
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) {
    answerFault(response, 413, `The body is larger than ${limitBytes} bytes.`);
    return;
  }
  const timeoutMs = lifecycle.settings?.requestTimeoutMs ?? 0;
  let outgoing: ClientRequest | undefined;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    // Answers only after the check, so that a client that retries finds a working engine.
    void lifecycle.suspect().then(() => {
      answerFault(response, 504, `The function did not respond within ${timeoutMs} ms.`);
      outgoing?.destroy();
    });
  }, timeoutMs);
  response.once('close', () => clearTimeout(timer));
  try {
    const use = await lifecycle.use();
    response.once('close', () => use[Symbol.dispose]());
    if (response.destroyed || response.writableEnded) {
      use[Symbol.dispose]();
      return;
    }
    outgoing = send(use.engine, request, response, {
      ...options,
      limitBytes,
      onAnswer: () => clearTimeout(timer),
      isLate: () => isLate,
    });
  } catch (thrown) {
    answerFault(response, 503, thrown instanceof EngineFault ? thrown.message : 'The function cannot be reached.');
  }
}

function send(
  engine: Engine,
  request: IncomingMessage,
  response: ServerResponse,
  options: PassOn & { limitBytes: number; onAnswer: () => void; isLate: () => boolean },
): ClientRequest {
  const outgoing = httpRequest({
    socketPath: engine.requests,
    agent: options.agent,
    method: request.method,
    path: request.url,
    headers: requestHeaders(request),
  });
  // After a complete response it has already released its connection, and this has no effect.
  response.once('close', () => outgoing.destroy());
  outgoing.on('error', () => {
    void options.lifecycle.explainEnd(engine).then((why) => {
      if (!options.isLate()) answerFault(response, 503, why);
    });
  });
  outgoing.on('response', (incoming) => {
    if (response.headersSent) return;
    options.onAnswer();
    response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, withoutHops(incoming.rawHeaders));
    // The response is incomplete, and the client must be able to detect that.
    incoming.on('error', () => response.destroy());
    incoming.pipe(response);
  });
  let received = 0;
  request.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received <= options.limitBytes) return;
    answerFault(response, 413, `The body is larger than ${options.limitBytes} bytes.`);
    outgoing.destroy();
  });
  request.pipe(outgoing);
  return outgoing;
}
