import { randomBytes } from 'node:crypto';
import { Breach } from '../../attempt.ts';
import type { World } from '../../world.ts';
import { callForJson } from '../call-api.ts';
import { ask } from '../raw.ts';
import type { RawAnswer } from '../raw.ts';

export interface KnownVolume {
  readonly id: string;
  readonly name: string;
  /** Opens its contents, and only these. */
  readonly token: string;
}

/** A volume of each team. That of the neighbor has the file `/secret` with the neighbor's word, the other one `/own`. */
export interface Volumes {
  readonly own: KnownVolume;
  readonly theirs: KnownVolume;
}

/**
 * Makes the volumes and deletes them at the end. In between, nothing may change what the neighbor's has: one file with its
 * word.
 */
export async function withVolumes(world: World, use: (volumes: Volumes) => Promise<string>): Promise<string> {
  const { target, neighbor } = world;
  await using made = new AsyncDisposableStack();
  const make = async (apiKey: string, file: string, text: string): Promise<KnownVolume> => {
    const name = `redteam-${randomBytes(6).toString('hex')}`;
    const { volumeID: id = '', token = '' } = await callForJson(world, apiKey, ['POST', '/volumes'], { name });
    made.defer(async () => {
      await callForJson(world, apiKey, ['DELETE', `/volumes/${id}`]);
    });
    const written = await askContents(world, token, ['PUT', `/volumecontent/${id}/file?path=${file}`], text);
    if (written.status >= 300) throw new Error(`a write to a new volume returns ${written.status}`);
    return { id, name, token };
  };
  const own = await make(target.apiKey, '/own', 'own');
  const theirs = await make(neighbor.apiKey, '/secret', neighbor.word);
  const evidence = await use({ own, theirs });
  const at = `/volumecontent/${theirs.id}`;
  const kept = await askContents(world, theirs.token, ['GET', `${at}/file?path=/secret`]);
  const listed = await askContents(world, theirs.token, ['GET', `${at}/dir?path=/&depth=64`]);
  const names = listed.status === 200 ? (JSON.parse(listed.body) as { path: string }[]).map(({ path }) => path) : [];
  if (kept.status !== 200 || kept.body !== neighbor.word || names.join() !== '/secret')
    throw new Breach(`the volume of the neighbor has changed: ${kept.status} "${kept.body}", ${names.join()}`);
  return evidence;
}

/** A call of the content API with the token of a volume. */
export async function askContents(
  { target }: World,
  token: string,
  [method, path]: readonly [method: string, path: string],
  body?: string,
): Promise<RawAnswer> {
  const type = method === 'PATCH' ? 'application/json' : 'application/octet-stream';
  const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': type }) };
  return await ask(target.port, path, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** The calls of the content API for a path, as it is in the query. Those that take it away come last. */
export function contentCalls(volume: string, path: string): (readonly [method: string, path: string, body?: string])[] {
  const at = `/volumecontent/${volume}`;
  return [
    ['GET', `${at}/file?path=${path}`],
    ['GET', `${at}/path?path=${path}`],
    ['GET', `${at}/dir?path=${path}&depth=64`],
    ['PUT', `${at}/file?path=${path}`, 'redteam'],
    ['POST', `${at}/dir?path=${path}&force=true`],
    ['PATCH', `${at}/path?path=${path}`, '{"uid":0,"mode":511}'],
    ['POST', `${at}/rename?path=${path}&to=moved`],
    ['DELETE', `${at}/path?path=${path}`],
  ];
}
