import { Agent, request } from 'node:http';
import type { ServerProcess } from '@soulbox/testing';

export const source = 'export default { fetch: () => new Response("hello") };';

export const connections = 32;

/** Where requests for a function are sent: to its host name at the gateway, or to bare workerd. */
export interface Target {
  readonly port: number;
  readonly host: string;
}

/** Of the function that `deploy` makes. */
export const targetAt = ({ port }: ServerProcess): Target => ({ port, host: 'fn-bench.soulbox.localhost' });

/** Keeps connections open, as many as `connections`. */
export function keepingAgent(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

/** Sends one request and reads the answer. Without an agent over a new connection. */
export async function ask({ port, host }: Target, agent?: Agent): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, headers: { host }, agent: agent ?? false };
    const outgoing = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => (body += part));
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${String(response.statusCode)}: ${body}`));
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** Returns the id of its sandbox. */
export async function deploy(server: ServerProcess): Promise<string> {
  const response = await call(server, 'POST', '/functions', { name: 'bench', source, limits: { idleSeconds: 3600 } });
  return ((await response.json()) as { sandboxID: string }).sandboxID;
}

export async function remove(server: ServerProcess): Promise<void> {
  await call(server, 'DELETE', '/functions/bench');
}

async function call(server: ServerProcess, method: string, path: string, body?: object): Promise<Response> {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = server.clientEnvironment;
  const response = await fetch(url + path, {
    method,
    headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${String(response.status)} ${await response.text()}`);
  return response;
}
