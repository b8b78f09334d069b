import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { confused, signed, unsigned } from '@soulbox/api/hostile-provider';
import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import { makers } from '../identity-provider.ts';
import type { World } from '../world.ts';
import { ask } from './raw.ts';
import type { RawAnswer } from './raw.ts';

// An address of this host may fail ten times at once, and once more each six seconds. The attempts below fail less often
// than that at the callback, so that the controls still pass.

/** A browser without a screen, which keeps the cookies of the server. */
interface Client {
  readonly cookies: Map<string, string>;
  readonly session: string | undefined;
  send(method: string, path: string, headers?: Record<string, string>, body?: string): Promise<RawAnswer>;
  /** Undefined if nobody is signed in. */
  who(): Promise<Who | undefined>;
}

interface Who {
  readonly csrfToken: string;
  readonly teams: readonly { readonly teamID: string }[];
}

function createClient({ target }: World): Client {
  const cookies = new Map<string, string>();
  const client: Client = {
    cookies,
    get session() {
      return cookies.get('soulbox_session');
    },
    async send(method, path, headers = {}, body = '') {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const all = { ...(cookie === '' ? {} : { cookie }), ...headers };
      const answer = await ask(target.port, path, { method, headers: all, ...(body === '' ? {} : { body }) });
      for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        if (value === '') cookies.delete(name);
        else cookies.set(name, value);
      }
      return answer;
    },
    async who() {
      const { status, body } = await client.send('GET', '/auth/session');
      return status === 200 ? (JSON.parse(body) as Who) : undefined;
    },
  };
  return client;
}

interface Started {
  readonly state: string;
  readonly nonce: string;
}

async function start(client: Client, query = ''): Promise<Started> {
  const { status, headers, body } = await client.send('GET', `/auth/start${query}`);
  if (status !== 303) throw new Error(`a sign-in cannot be started: ${status} ${body.slice(0, 100)}`);
  const { searchParams } = new URL(String(headers.location));
  return { state: searchParams.get('state') ?? '', nonce: searchParams.get('nonce') ?? '' };
}

/** Comes back from the provider, which says that this is the person. */
async function comeBack(world: World, client: Client, started: Started, claims: object = {}): Promise<RawAnswer> {
  const { provider } = world;
  provider.nonce = started.nonce;
  provider.claims = { sub: 'victim', email: 'victim@example.com', groups: [makers], sid: 'one', ...claims };
  return await client.send('GET', `/auth/callback?code=c&state=${encodeURIComponent(started.state)}`);
}

async function signIn(world: World, claims: object = {}): Promise<Client> {
  const client = createClient(world);
  await comeBack(world, client, await start(client), claims);
  if ((await client.who()) === undefined) throw new Error('the control failed: nobody can sign in');
  return client;
}

/** The first browser has started a sign-in; others bring its answer. */
async function forgeState(world: World): Promise<string> {
  const [attacker, victim] = [createClient(world), createClient(world)];
  const mine = await start(attacker);
  const breaches: string[] = [];
  const expectNobody = async (what: string, answer: RawAnswer): Promise<void> => {
    if (answer.status < 400 || victim.session !== undefined) breaches.push(`${what} returns ${answer.status}`);
    if ((await victim.who()) !== undefined) breaches.push(`${what} signs the victim in`);
  };
  await expectNobody('a state without its cookie', await comeBack(world, victim, mine));
  const theirs = await start(victim);
  await expectNobody('the state of another browser', await comeBack(world, victim, { ...theirs, state: mine.state }));
  await start(victim);
  const [payload = ''] = (victim.cookies.get('soulbox_sign_in') ?? '').split('.');
  victim.cookies.set('soulbox_sign_in', `${payload}.${'A'.repeat(43)}`);
  await expectNobody('a cookie that was made', await comeBack(world, victim, theirs));
  refuseBreaches(breaches);
  if ((await comeBack(world, attacker, mine)).status !== 303) throw new Error('the right state is refused, too');
  return 'another browser gets no session with it; the one that asked does';
}

async function forgeIdTokens(world: World): Promise<string> {
  const { provider } = world;
  const { sign } = provider;
  const pem = createPublicKey(provider.key).export({ format: 'pem', type: 'spki' }).toString();
  const { privateKey: other } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forged: [string, object, typeof sign][] = [
    ['without a signature', {}, (_header, payload) => unsigned(payload)],
    ['with the public key as an HMAC', {}, (_header, payload) => confused(pem, payload)],
    ['of another key', {}, (header, payload) => signed(other, header, payload)],
    ['for another audience', { aud: 'other' }, sign],
    ['of another sign-in', { nonce: 'other' }, sign],
  ];
  const breaches: string[] = [];
  try {
    for (const [what, claims, how] of forged) {
      const client = createClient(world);
      const started = await start(client);
      provider.sign = how;
      const { status } = await comeBack(world, client, started, claims);
      if (status < 400 || client.session !== undefined) breaches.push(`a token ${what} returns ${status}`);
    }
  } finally {
    provider.sign = sign;
  }
  refuseBreaches(breaches);
  await signIn(world);
  return `${forged.length} tokens refused; a right one is accepted`;
}

async function redirectOut(world: World): Promise<string> {
  const targets = [
    ...['https://evil.example', '//evil.example', String.raw`/\evil.example`, String.raw`\/evil.example`],
    ...['/%2fevil.example', '/account/..//evil.example', '/account@evil.example', '/\t/evil.example'],
    ...['javascript:alert(1)', '/sandboxes-http/8080-i/', '/functions-http/x/', '/auth/start?return_to=//evil.example'],
  ];
  const breaches: string[] = [];
  for (const target of targets) {
    const client = createClient(world);
    const { headers } = await comeBack(world, client, await start(client, `?return_to=${encodeURIComponent(target)}`));
    if (headers.location !== '/account') breaches.push(`${target} leads to ${String(headers.location)}`);
  }
  const client = createClient(world);
  const right = await comeBack(world, client, await start(client, '?return_to=%2Fauth%2Fdevice'));
  refuseBreaches(breaches);
  if (right.headers.location !== '/auth/device') throw new Error('a page of ours is not kept either');
  return `${targets.length} targets lead to the own page`;
}

async function fixSession(world: World): Promise<string> {
  const attacker = await signIn(world, { sub: 'attacker', email: 'attacker@example.com' });
  const known = attacker.session ?? '';
  const breaches: string[] = [];
  for (const planted of [known, 'A'.repeat(43)]) {
    const victim = createClient(world);
    victim.cookies.set('soulbox_session', planted);
    await comeBack(world, victim, await start(victim));
    if (victim.session === undefined) throw new Error('the victim cannot sign in');
    if (victim.session === planted) breaches.push('the session of before is kept');
    const thief = createClient(world);
    thief.cookies.set('soulbox_session', planted);
    if ((await thief.who()) !== undefined) breaches.push('the planted session is alive after the sign-in');
  }
  refuseBreaches(breaches);
  return 'each sign-in makes a new session and ends the one that the browser had';
}

const logoutEvent = { 'http://schemas.openid.net/event/backchannel-logout': {} };

async function forgeLogout(world: World): Promise<string> {
  const { provider, target } = world;
  const claims = (more: object = {}): object => {
    const iat = Math.floor(Date.now() / 1000);
    const base = { iss: provider.issuer, aud: 'soulbox', iat, exp: iat + 60, jti: randomUUID(), sub: 'victim' };
    return { ...base, events: logoutEvent, ...more };
  };
  const send = async (token: string): Promise<number> => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = `logout_token=${token}`;
    return (await ask(target.port, '/auth/backchannel-logout', { method: 'POST', headers, body })).status;
  };
  const { privateKey: other } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = createPublicKey(provider.key).export({ format: 'pem', type: 'spki' }).toString();
  const forged: [string, string][] = [
    ['no signature', unsigned(claims())],
    ['the public key as an HMAC', confused(pem, claims())],
    ['another key', signed(other, {}, claims())],
    ['another audience', signed(provider.key, {}, claims({ aud: 'other' }))],
    ['a nonce, as an ID token', signed(provider.key, {}, claims({ nonce: 'n' }))],
    ['no event', signed(provider.key, {}, claims({ events: undefined }))],
    ['an old time', signed(provider.key, {}, claims({ iat: 1_700_000_000, exp: undefined }))],
  ];
  const victim = await signIn(world);
  const breaches: string[] = [];
  for (const [what, token] of forged) {
    const status = await send(token);
    if (status < 400) breaches.push(`a token with ${what} returns ${status}`);
  }
  if ((await victim.who()) === undefined) breaches.push('a forged token has ended the session');
  // Before the next sign-in, which would end with it.
  const iat = Math.floor(Date.now() / 1000) - 5;
  const right = signed(provider.key, { typ: 'logout+jwt' }, claims({ iat }));
  if ((await send(right)) !== 200 || (await victim.who()) !== undefined)
    throw new Error('the right token ends nothing either');
  const again = await signIn(world);
  if ((await send(right)) < 400 || (await again.who()) === undefined) breaches.push('a token is accepted twice');
  refuseBreaches(breaches);
  return `${forged.length} tokens refused, and a right one the second time`;
}

/** A person who guesses the codes that programs of others show. */
async function guessCodes(world: World): Promise<string> {
  const person = await signIn(world, { sub: 'guesser', email: 'guesser@example.com' });
  const statuses: number[] = [];
  const letters = 'BCDFGHJK';
  for (let n = 0; n < 40; n += 1) {
    const code = `${letters.charAt(n % 8)}${letters.charAt(n >> 3)}BB-BBBB`;
    const answer = await person.send('GET', `/auth/device?user_code=${code}`);
    statuses.push(answer.status);
    if (/name="decision"/.test(answer.body)) throw new Breach(`the code ${code} is one of a program`);
  }
  const refused = statuses.filter((status) => status === 429).length;
  if (statuses.some((status) => status !== 404 && status !== 429))
    throw new Breach(`guesses return ${statuses.join()}`);
  if (refused < 25) throw new Breach(`only ${refused} of 40 guesses were throttled`);
  return `no code found; ${refused} of 40 guesses throttled`;
}

/** What a page of another site, or of another team, can do with the cookie of a victim. */
async function rideSession(world: World): Promise<string> {
  const { target, neighbor } = world;
  const victim = await signIn(world);
  const own = await victim.who();
  const teamId = own?.teams[0]?.teamID ?? '';
  const listed = await ask(target.port, '/teams', { headers: { 'x-api-key': neighbor.apiKey } });
  const theirs = (JSON.parse(listed.body) as { teamID: string }[])[0]?.teamID ?? '';
  if (teamId === '' || theirs === '') throw new Error('a team has no id');
  const origin = `http://127.0.0.1:${target.port}`;
  const right = {
    ...{ origin, 'sec-fetch-site': 'same-origin', 'x-team-id': teamId, 'x-csrf-token': own?.csrfToken ?? '' },
    'content-type': 'application/json',
  };
  const create = async (more: Record<string, string>): Promise<RawAnswer> =>
    await victim.send('POST', '/v2/sandboxes', { ...right, ...more }, '{"templateID":"base","timeout":15}');
  const attempts: [string, Record<string, string>][] = [
    ['no token', { 'x-csrf-token': '' }],
    ['another token', { 'x-csrf-token': 'A'.repeat(43) }],
    ['another origin', { origin: 'https://evil.example' }],
    ['no origin that can be told', { origin: 'null' }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['another team', { 'x-team-id': theirs }],
  ];
  const breaches: string[] = [];
  for (const [what, more] of attempts) {
    const { status } = await create(more);
    if (status < 400) breaches.push(`a create with ${what} returns ${status}`);
  }
  const read = await victim.send('GET', `/sandboxes/${neighbor.sandbox.sandboxId}`, { ...right, 'x-team-id': theirs });
  if (read.status < 400 || read.body.includes(neighbor.word)) breaches.push('a sandbox of another team is shown');
  refuseBreaches(breaches);
  const made = await create({});
  if (made.status !== 201) throw new Error(`the right create returns ${made.status}: ${made.body.slice(0, 100)}`);
  const { sandboxID } = JSON.parse(made.body) as { sandboxID: string };
  await ask(target.port, `/sandboxes/${sandboxID}`, { method: 'DELETE', headers: { 'x-api-key': target.apiKey } });
  return `${attempts.length} forms refused; the own page may`;
}

/** A signed URL must not give what its signer no longer has. */
async function outliveSession(world: World): Promise<string> {
  const { target, attacker } = world;
  const person = await signIn(world);
  const own = await person.who();
  const headers = {
    ...{ origin: `http://127.0.0.1:${target.port}`, 'x-csrf-token': own?.csrfToken ?? '' },
    ...{ 'x-team-id': own?.teams[0]?.teamID ?? '', 'content-type': 'application/json' },
  };
  const body = JSON.stringify({ url: `/sandboxes/${attacker.sandboxId}/logs` });
  const made = await person.send('POST', '/signed-urls', headers, body);
  if (made.status !== 201) throw new Error(`signing returns ${made.status}: ${made.body.slice(0, 100)}`);
  const { pathname, search } = new URL((JSON.parse(made.body) as { url: string }).url);
  const get = async (): Promise<number> => (await ask(target.port, pathname + search)).status;
  if ((await get()) !== 200) throw new Error('the URL does not work itself');
  await person.send('DELETE', '/auth/session', headers);
  const after = await get();
  if (after < 400) throw new Breach(`the URL of a person who has signed out returns ${after}`);
  return `works before the sign-out, and returns ${after} after it`;
}

const scene = { kind: 'scene', wall: 'signIn', by: ['outside'], pace: 'quick' } as const;

export const signIns: readonly Scene[] = [
  { ...scene, name: 'signs a victim in as the attacker, with a forged or foreign state', run: forgeState },
  { ...scene, name: 'brings forged ID tokens', run: forgeIdTokens },
  { ...scene, name: 'leads a browser to another server after the sign-in', run: redirectOut },
  { ...scene, name: 'plants a session before the victim signs in', run: fixSession },
  { ...scene, name: 'forges and repeats logout tokens', run: forgeLogout },
  { ...scene, name: 'guesses the codes that programs of others show', run: guessCodes },
  { ...scene, name: 'rides the session of a victim from another site or for another team', run: rideSession },
  { ...scene, name: 'uses the signed URL of a person who has signed out', run: outliveSession },
];
