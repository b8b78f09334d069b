import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { request } from 'node:http';

/** An answer as text, headers in lower case. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

const answerMs = 20_000;
/** The answers of hostile services may be endless. The rest is not read. */
const bodyCharsMax = 32_000_000;

/** Connects to the gateway. Errors of the connection only close it. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });
  return socket;
}

/** Sends bytes and returns all that comes back until the end, or until nothing came for `quietMs`. */
export async function sendRaw(port: number, bytes: Buffer | string, quietMs = 400): Promise<string> {
  const socket = await openSocket(port);
  return await new Promise((resolve) => {
    let text = '';
    const finish = (): void => {
      socket.destroy();
      resolve(text);
    };
    // The first byte may take longer than the following ones.
    socket.setTimeout(quietMs * 3, finish);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      socket.setTimeout(quietMs, finish);
    });
    socket.on('close', finish);
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}

/** One request with a path and headers that are sent as they are. Throws if there is no answer within 20 s. */
export async function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<RawAnswer> {
  const { method = 'GET', headers = {}, body } = options;
  return await new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      const finish = (): void => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        response.destroy();
      };
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > bodyCharsMax) finish();
      });
      response.on('error', reject);
      response.on('end', finish);
    });
    outgoing.setTimeout(answerMs, () => outgoing.destroy(new Error(`${method} ${path}: no answer in time`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** The headers that lead to a port of a sandbox. */
export function toPort(sandboxId: string, port: number): Record<string, string> {
  return { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(port) };
}
