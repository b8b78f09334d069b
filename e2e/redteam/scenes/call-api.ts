import type { World } from '../world.ts';
import { ask } from './raw.ts';
import type { RawAnswer } from './raw.ts';

/** A call of the API with the key of a team. `body` is sent as JSON. */
export async function callApi(
  { target }: World,
  apiKey: string,
  [method, path]: readonly [method: string, path: string],
  body?: object,
): Promise<RawAnswer> {
  const headers = { 'x-api-key': apiKey, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
  return await ask(target.port, path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** The same for a call that must succeed. Returns what it answers. */
export async function callForJson(
  world: World,
  apiKey: string,
  call: readonly [method: string, path: string],
  body?: object,
): Promise<Record<string, string>> {
  const answer = await callApi(world, apiKey, call, body);
  if (answer.status >= 300) throw new Error(`${call.join(' ')}: ${answer.status} ${answer.body}`);
  return answer.body === '' ? {} : (JSON.parse(answer.body) as Record<string, string>);
}
