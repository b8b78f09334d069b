import type { ServerProcess } from '@soulbox/testing';
import { expect } from 'vitest';

/** Asks the API of a server of the test. */
export async function askFunction(
  { clientEnvironment }: ServerProcess,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly text: string }> {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = clientEnvironment;
  const headers = { 'x-api-key': key, 'content-type': 'application/json' };
  const answer = await fetch(url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

const source = `
export default {
  async fetch(request, env) {
    if (request.method === 'POST') await env.STORE.put('key', 'kept ' + env.TOKEN);
    return new Response(await env.STORE.get('key'));
  },
};`;

/**
 * Deploys the function `lasting` with a secret, and lets it write a value. `GET /functions-http/lasting/` returns "kept
 * secret" as long as bundle, secret and value are there.
 */
export async function deployLasting(server: ServerProcess): Promise<void> {
  const request = { name: 'lasting', source, secrets: { TOKEN: 'secret' }, kv: { STORE: 'lasting' } };
  expect((await askFunction(server, 'POST', '/functions', request)).status).toBe(201);
  expect(await askFunction(server, 'POST', '/functions-http/lasting/')).toMatchObject({ text: 'kept secret' });
}
