import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import { nameOf } from '../internet.ts';
import type { World } from '../world.ts';
import { runPython } from './egress/programs.ts';
import { ask, sendRaw } from './raw.ts';
import type { RawAnswer } from './raw.ts';

const call = async (
  { target }: World,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: object,
): Promise<RawAnswer> => {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const more = body === undefined ? {} : { body: JSON.stringify(body) };
  return await ask(target.port, path, { method, headers: { ...headers, ...json }, ...more });
};

/** What a sandbox of another team reached, while it runs and after it has ended. */
async function readConnections(world: World): Promise<string> {
  const { target, neighbor } = world;
  const secretName = `${neighbor.word}.${nameOf('evil')}`;
  const policy = { allowOut: [nameOf('allowed')], denyOut: ['0.0.0.0/0'] };
  let sandboxId = '';
  const read = async (apiKey: string): Promise<RawAnswer[]> => {
    const paths = ['connections', 'connections?limit=1000', 'network/learned', 'metrics', 'logs'];
    return await Promise.all(
      paths.map(async (path) => await call(world, 'GET', `/sandboxes/${sandboxId}/${path}`, { 'x-api-key': apiKey })),
    );
  };
  const expectNothing = async (when: string): Promise<void> => {
    const shown = (await read(target.apiKey)).filter(
      ({ status, body }) => body.includes(neighbor.word) || status === 200,
    );
    const breaches = shown.filter(({ body }) => !/^(\[\]|\{\})$/.test(body));
    refuseBreaches(breaches.map(({ status, body }) => `${when}: ${status} ${body.slice(0, 100)}`));
  };
  await world.withPolicy(
    policy,
    async (sandbox) => {
      ({ sandboxId } = sandbox);
      await runPython(sandbox, `try: lookup('${secretName}')\nexcept OSError: pass`);
      for (let n = 0; n < 100 && !(await read(neighbor.apiKey))[0]?.body.includes(neighbor.word); n += 1);
      await expectNothing('while it runs');
    },
    { apiKey: neighbor.apiKey },
  );
  await expectNothing('after its end');
  const own = await read(neighbor.apiKey);
  if (own[0]?.body.includes(neighbor.word) !== true) throw new Error('its own team cannot read the log either');
  return 'five routes show nothing to another team, during and after; its own team reads the log';
}

/** A key of one team for a repeated request must not give the answer of another team. */
async function collide(world: World): Promise<string> {
  const { target, neighbor } = world;
  const repeated = `redteam-${neighbor.word.slice(-12)}`;
  const make = async (apiKey: string, key: string): Promise<string> => {
    const headers = { 'x-api-key': apiKey, 'idempotency-key': key };
    const answer = await call(world, 'POST', '/v2/sandboxes', headers, { templateID: 'base', timeout: 60 });
    if (answer.status !== 201) throw new Error(`create returns ${answer.status}: ${answer.body}`);
    return (JSON.parse(answer.body) as { sandboxID: string }).sandboxID;
  };
  const theirs = await make(neighbor.apiKey, repeated);
  const mine = new Set<string>();
  try {
    if ((await make(neighbor.apiKey, repeated)) !== theirs) throw new Error('the key does not repeat for its own team');
    for (const key of [repeated, `"${repeated}"`]) mine.add(await make(target.apiKey, key));
    if (mine.has(theirs)) throw new Breach('another team got the sandbox of the repeated create');
    if (mine.size !== 1) throw new Error('the two forms of one key made two sandboxes');
    const wrong = ['', '""', `${repeated}, x`, 'a\tb', 'x'.repeat(300), 'ä'];
    const statuses: number[] = [];
    for (const key of wrong) {
      const headers = `X-API-Key: ${target.apiKey}\r\nIdempotency-Key: ${key}\r\nIdempotency-Key: y`;
      const head = `POST /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n${headers}`;
      const answer = await sendRaw(target.port, `${head}\r\n\r\n{}`);
      statuses.push(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0));
    }
    if (statuses.some((status) => status !== 400)) throw new Breach(`two keys return ${statuses.join()}`);
    return 'the same key gives each team a sandbox of its own, and its own again; doubled keys return 400';
  } finally {
    await call(world, 'DELETE', `/sandboxes/${theirs}`, { 'x-api-key': neighbor.apiKey });
    for (const id of mine) await call(world, 'DELETE', `/sandboxes/${id}`, { 'x-api-key': target.apiKey });
  }
}

/** Uses a signed URL with the id of another team's key, or for another team's sandbox. */
async function signAcross(world: World): Promise<string> {
  const { target, neighbor, attacker } = world;
  const sign = async (apiKey: string, sandboxId: string): Promise<RawAnswer> =>
    await call(world, 'POST', '/signed-urls', { 'x-api-key': apiKey }, { url: `/sandboxes/${sandboxId}/logs` });
  const mine = await sign(target.apiKey, attacker.sandboxId);
  const theirs = await sign(neighbor.apiKey, neighbor.sandbox.sandboxId);
  if (mine.status !== 201 || theirs.status !== 201) throw new Error(`signing returns ${mine.status}, ${theirs.status}`);
  const parse = ({ body }: RawAnswer): URL => new URL((JSON.parse(body) as { url: string }).url, 'http://localhost');
  const [own, other] = [parse(mine), parse(theirs)];
  const get = async (url: URL): Promise<number> => (await ask(target.port, url.pathname + url.search)).status;
  if ((await get(own)) !== 200 || (await get(other)) !== 200) throw new Error('the signed URLs do not work themselves');
  const changed = ['soulbox-key', 'soulbox-by', 'soulbox-nonce', 'soulbox-signature', 'soulbox-expires'].map((name) => {
    const url = new URL(own);
    url.searchParams.set(name, other.searchParams.get(name) ?? '');
    return [name, url] as const;
  });
  const moved = new URL(own);
  moved.pathname = other.pathname;
  const doubled = new URL(own);
  doubled.searchParams.append('soulbox-key', other.searchParams.get('soulbox-key') ?? '');
  const breaches: string[] = [];
  for (const [name, url] of [...changed, ['the path', moved] as const, ['a second key', doubled] as const]) {
    // Both may expire in the same second.
    if (url.href === own.href) continue;
    const status = await get(url);
    if (status < 400) breaches.push(`${name} of another team returns ${status}`);
  }
  const foreign = await sign(target.apiKey, neighbor.sandbox.sandboxId);
  if (foreign.status === 201 && (await get(parse(foreign))) < 400)
    breaches.push('a team signs for the sandbox of another');
  refuseBreaches(breaches);
  return 'parameters, path and key of another team are refused; each URL works as it was signed';
}

/** Forms of credentials that some parsers accept. */
async function bendCredentials(world: World): Promise<string> {
  const { target } = world;
  const key = target.apiKey;
  const made = await call(world, 'POST', '/api-keys', { 'x-api-key': key }, { name: 'redteam revoked' });
  const { id, key: revoked } = JSON.parse(made.body) as { id: string; key: string };
  const path = '/v2/sandboxes';
  const status = async (lines: string): Promise<number> => {
    const answer = await sendRaw(
      target.port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines}\r\n\r\n`,
    );
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
  };
  if ((await status(`X-API-Key: ${revoked}`)) !== 200) throw new Error('the new key does not work');
  await call(world, 'DELETE', `/api-keys/${id}`, { 'x-api-key': key });
  const lines = [
    `X-API-Key: ${revoked}`,
    `Authorization: Bearer ${revoked}`,
    `Authorization: Bearer`,
    `Authorization: Bearer ${key} ${key}`,
    `Authorization: Bearer, Bearer ${key}`,
    `Authorization: Basic ${Buffer.from(`:${key}`).toString('base64')}`,
    `Authorization: Token ${key}`,
    `Authorization: Bearer "${key}"`,
    `Authorization: Bearer x\r\nAuthorization: Bearer ${key}`,
    `Authorization: Bearer sbp_${'0'.repeat(40)}`,
    `Authorization: Bearer sbp_${'0'.repeat(40)}_default`,
    `Cookie: __Host-soulbox_session=${'0'.repeat(64)}`,
    `Cookie: X-API-Key=${key}`,
    `X-Api-Key\t: ${key}`,
    `X_API_Key: ${key}`,
    `X-Supabase-Token: ${key}`,
    `X-Forwarded-User: admin`,
    `X-Soulbox-Team: default`,
  ];
  const answers: (readonly [string, number])[] = [];
  for (const line of lines)
    answers.push([line.replaceAll(key, 'KEY').replaceAll(revoked, 'REVOKED'), await status(line)]);
  const breaches = answers.filter(([, code]) => code < 400 || code >= 500);
  refuseBreaches(breaches.map(([line, code]) => `${JSON.stringify(line.slice(0, 60))} returns ${code}`));
  if ((await status(`X-API-Key: ${key}`)) !== 200) throw new Breach('a right key is refused after that');
  return `${lines.length} forms refused (${[...new Set(answers.map(([, code]) => code))].join()}); the right one works`;
}

/** Asks for, and guesses, the codes by which programs get the token of a person. */
async function guessDevices(world: World): Promise<string> {
  const { target } = world;
  const form = async (path: string, body: string): Promise<RawAnswer> =>
    await ask(target.port, path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });
  const grant = encodeURIComponent('urn:ietf:params:oauth:grant-type:device_code');
  const answers: RawAnswer[] = [await form('/auth/device-code', 'client_id=soulbox')];
  for (let n = 0; n < 20; n += 1)
    answers.push(
      await form('/auth/token', `grant_type=${grant}&client_id=soulbox&device_code=${'0'.repeat(39)}${n % 10}`),
    );
  answers.push(await form('/auth/token', `grant_type=refresh_token&refresh_token=x&client_id=soulbox`));
  answers.push(await form('/auth/token', `grant_type=password&username=admin&password=admin&client_id=soulbox`));
  const given = answers.slice(1).filter(({ status, body }) => status < 400 || body.includes('access_token'));
  if (given.length > 0) throw new Breach(`a guessed code returns ${given[0]?.status}: ${given[0]?.body.slice(0, 100)}`);
  if (answers.some(({ status }) => status >= 500)) throw new Breach('a guess breaks the server');
  if ((await ask(target.port, '/health')).status !== 204) throw new Error('the server does not answer');
  return `${answers.length - 1} guesses refused (${[...new Set(answers.slice(1).map(({ status }) => status))].join()})`;
}

const scene = { kind: 'scene', by: ['outside'], pace: 'quick' } as const;

export const outsiders: readonly Scene[] = [
  { ...scene, wall: 'teams', name: 'reads what a sandbox of another team has reached', run: readConnections },
  { ...scene, wall: 'teams', name: 'repeats the create of another team with its Idempotency-Key', run: collide },
  { ...scene, wall: 'signedUrls', name: 'uses the key of another team in a signed URL', run: signAcross },
  { ...scene, wall: 'keys', name: 'bends the form of credentials, and uses a revoked key', run: bendCredentials },
  { ...scene, wall: 'signIn', name: 'guesses codes and tokens of people', run: guessDevices },
];
