import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SoulBoxError } from '@soulbox/base';
import { createApiKey } from '@soulbox/storage';
import type { SignedUrlCheck } from '@soulbox/contract/signed-url-service';
import { startTestApi } from '../testing/test-api.ts';
import type { Answer, TestApi, TestApiOptions } from '../testing/test-api.ts';

const now = { value: 0 };
let api: TestApi;
let id: string;

async function start(options: TestApiOptions = {}): Promise<void> {
  api = await startTestApi({ clock: { now: () => now.value }, ...options });
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  id = (answer.json as { sandboxID: string }).sandboxID;
}

async function startAnew(options: TestApiOptions): Promise<void> {
  await api[Symbol.asyncDispose]();
  await start(options);
}

beforeEach(async () => {
  now.value = Date.now();
  await start();
});
afterEach(() => api[Symbol.asyncDispose]());

const ask = (body: object, key = api.key): Promise<Answer> => api.ask('POST', '/signed-urls', { body, key });

async function sign(body: object, key = api.key): Promise<string> {
  const answer = await ask(body, key);
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  return (answer.json as { url: string }).url;
}

const logs = (): string => `/sandboxes/${id}/logs`;
const read = (url: string, init: RequestInit = {}): Promise<Response> => fetch(url, init);
const statusOf = async (url: string, init: RequestInit = {}): Promise<number> => (await read(url, init)).status;

/** What the gateway asks about a request for a port in host form. */
function check(url: string, more: Partial<SignedUrlCheck> = {}): Promise<string> {
  const { host, pathname, search } = new URL(url);
  const facts = { address: '192.0.2.1', contentTypes: [], contentEncodings: [], isUpgrade: false, ...more.facts };
  const request = {
    ...{ method: 'GET', authority: host, target: pathname + search, isSharedHost: false, isPreflight: false },
    destination: { kind: 'sandbox', sandboxId: id, port: 8080 } as const,
    ...more,
    facts: { announcedBytes: undefined, ...facts },
  };
  return api.signedUrls.check(request).then(
    () => 'allowed',
    (error: unknown) => (error as SoulBoxError).reason,
  );
}

const portUrl = (port = 8080, path = '/'): string => `https://${port}-${id}.box.example${path}`;

describe('a signed URL of a log', () => {
  it('works without a key, for this route and this sandbox only', async () => {
    const url = await sign({ url: `${logs()}?limit=5` });
    expect(url.startsWith(`${api.url}${logs()}?limit=5&soulbox-key=s`)).toBe(true);
    const answer = await read(url);
    expect([answer.status, await answer.json()]).toEqual([200, { logs: [], logEntries: [] }]);
    expect(await statusOf(url.replace('limit=5', 'limit=6'))).toBe(401);
    expect(await statusOf(url.replace('/logs', '/metrics'))).toBe(401);
    expect(await statusOf(url.replace('/logs', ''))).toBe(403);
    expect(await statusOf(url, { method: 'DELETE' })).toBe(405);
  });

  it('of another team shows nothing', async () => {
    expect(await statusOf(await sign({ url: logs() }, api.otherKey))).toBe(404);
  });

  it('expires, and is accepted until the end of the allowed clock skew', async () => {
    now.value = Math.ceil(now.value / 1000) * 1000;
    const url = await sign({ url: logs(), expiresInSeconds: 10 });
    now.value += 14_999;
    expect(await statusOf(url)).toBe(200);
    now.value += 1;
    const late = await read(url);
    expect([late.status, await late.json()]).toEqual([
      401,
      { code: 401, message: expect.stringMatching(/expired/) as string },
    ]);
  });

  it('can be used once if it is a one-time URL, also after a restart', async () => {
    await startAnew({ config: { apiUrl: 'https://box.example/api' } });
    const url = await sign({ url: logs(), once: true });
    const local = (): string => api.url + url.slice('https://box.example/api'.length);
    const answers = await Promise.all(Array.from({ length: 20 }, () => statusOf(local())));
    expect(answers.toSorted()).toEqual([200, ...Array<number>(19).fill(409)]);
    await api.restart();
    expect(await statusOf(local())).toBe(409);
  });

  it('is refused together with an API key', async () => {
    const url = await sign({ url: logs() });
    expect(await statusOf(url, { headers: { 'x-api-key': api.key } })).toBe(400);
    expect(await statusOf(url, { headers: { authorization: `Bearer ${api.key}` } })).toBe(400);
    expect(await statusOf(url)).toBe(200);
  });

  it('is refused with a doubled parameter, even if both were signed', async () => {
    expect(await statusOf(await sign({ url: `${logs()}?limit=1&limit=2` }))).toBe(400);
  });

  it('does not use up the rate of its key', async () => {
    await startAnew({ config: { keyRequestRate: 3 } });
    const url = await sign({ url: logs() });
    for (let n = 0; n < 5; n++) expect(await statusOf(url)).toBe(200);
  });

  it('is limited to addresses, as the gateway reports them', async () => {
    const url = await sign({ url: logs(), addresses: ['192.0.2.0/24'] });
    const from = (address: string) => statusOf(url, { headers: { 'x-forwarded-for': address } });
    expect([await from('192.0.2.9'), await from('::ffff:192.0.2.9'), await from('192.0.3.9')]).toEqual([200, 200, 403]);
  });
});

describe('a signed URL ends', () => {
  it('with the API key through which it was signed, and with no other', async () => {
    const one = await createApiKey(api.records, { id: api.teamId }, 'one');
    const url = await sign({ url: logs() }, one.key.reveal());
    const mine = await sign({ url: logs() });
    expect(await statusOf(url)).toBe(200);
    expect((await api.ask('DELETE', `/api-keys/${one.record.id}`)).status).toBe(204);
    expect([await statusOf(url), await statusOf(mine)]).toEqual([401, 200]);
  });

  it('with its signing key: after a rotation the earlier key ends after the overlap', async () => {
    const before = await sign({ url: logs() });
    const rotated = await api.ask('POST', '/signing-keys', { body: { overlapSeconds: 60 } });
    expect(rotated.status).toBe(201);
    const after = await sign({ url: logs() });
    expect(after).toContain((rotated.json as { id: string }).id);
    expect([await statusOf(before), await statusOf(after)]).toEqual([200, 200]);
    now.value += 59_999;
    expect(await statusOf(before)).toBe(200);
    now.value += 1;
    expect([await statusOf(before), await statusOf(after)]).toEqual([401, 200]);
  });

  it('at once when its signing key is deleted; the next signature makes a new one', async () => {
    const url = await sign({ url: logs() });
    const [key] = (await api.ask('GET', '/signing-keys')).json as { id: string; endsAt: null }[];
    expect(key?.endsAt).toBeNull();
    expect((await api.ask('DELETE', `/signing-keys/${key?.id ?? ''}`, { key: api.otherKey })).status).toBe(404);
    expect(await statusOf(url)).toBe(200);
    expect((await api.ask('DELETE', `/signing-keys/${key?.id ?? ''}`)).status).toBe(204);
    expect(await statusOf(url)).toBe(401);
    expect(await statusOf(await sign({ url: logs() }))).toBe(200);
  });

  it('with its team', async () => {
    const url = await sign({ url: portUrl() });
    expect(await check(url)).toBe('allowed');
    const theirs = await sign({ url: '/sandboxes/i1/logs' }, api.otherKey);
    expect(await api.records.teams.remove(api.otherTeamId)).toBe(true);
    expect(await statusOf(theirs)).toBe(401);
  });
});

it('rotations are limited', async () => {
  const rotate = async (key = api.key): Promise<number> =>
    (await api.ask('POST', '/signing-keys', { body: { overlapSeconds: 86_400 }, key })).status;
  await sign({ url: logs() });
  for (let n = 0; n < 9; n++) expect(await rotate()).toBe(201);
  expect(await rotate()).toBe(429);
  expect(await rotate(api.otherKey)).toBe(201);
  now.value += 24 * 3600 * 1000;
  expect(await rotate()).toBe(201);
});

describe('the request for a signature is refused', () => {
  it('for everything that is not a request of the documented form', async () => {
    // One server for all, because each is only asked.
    const cases: readonly (readonly [what: string, body: object, status: number])[] = [
      ['for a URL without a host', { url: 'https:///x' }, 400],
      ['for another scheme', { url: 'ftp://box.example/' }, 400],
      ['for a URL with a user', { url: 'https://a:b@box.example/sandboxes/x/logs' }, 400],
      ['for a URL with a fragment', { url: '/sandboxes/x/logs#a' }, 400],
      ['for a dot segment', { url: '/sandboxes/x/../y/logs' }, 400],
      ['for a signed URL', { url: '/sandboxes/x/logs?soulbox-key=1' }, 400],
      ['for a bad query', { url: '/sandboxes/x/logs?a=%' }, 400],
      ['for a route that is not signable', { url: '/v2/sandboxes' }, 403],
      ['for the signing of URLs', { url: '/signed-urls', method: 'POST' }, 403],
      ['for another method of a route', { url: '/sandboxes/x/logs', method: 'POST' }, 403],
      ['for an unknown route', { url: '/nothing' }, 403],
      ['for a sandbox that does not exist', { url: 'https://8080-i00000000000000000000.box.example/' }, 403],
      ['for a function that does not exist', { url: 'https://fn-nobody.box.example/' }, 403],
      ['for a function that does not exist, in path form', { url: '/functions-http/nobody/' }, 403],
      ['for another method', { url: '/sandboxes/x/logs', method: 'TRACE' }, 400],
      ['for a method in lower case', { url: '/sandboxes/x/logs', method: 'get' }, 400],
      ['for too long a life', { url: '/sandboxes/x/logs', expiresInSeconds: 7 * 24 * 3600 + 1 }, 400],
      ['for no life', { url: '/sandboxes/x/logs', expiresInSeconds: 0 }, 400],
      ['for a body of a GET', { url: '/sandboxes/x/logs', maxBytes: 1 }, 400],
      ['for a type of a GET', { url: '/sandboxes/x/logs', contentType: 'image/png' }, 400],
      ['for a prefix of the API', { url: '/sandboxes/x/logs', prefix: true }, 400],
      ['for a bad address range', { url: '/sandboxes/x/logs', addresses: ['::ffff:192.0.2.1'] }, 400],
      ['for no address', { url: '/sandboxes/x/logs', addresses: [] }, 400],
      ['for too long a URL', { url: `/sandboxes/x/logs?a=${'x'.repeat(8100)}` }, 400],
    ];
    for (const [what, body, status] of cases) {
      const { status: answered, json } = await ask(body);
      expect([what, answered, json]).toEqual([what, status, { code: status, message: expect.any(String) as string }]);
    }
  });

  it('for what belongs to another team', async () => {
    expect((await ask({ url: portUrl() }, api.otherKey)).status).toBe(403);
    expect((await ask({ url: `/sandboxes-http/8080-${id}/` }, api.otherKey)).status).toBe(403);
    expect((await ask({ url: portUrl() })).status).toBe(201);
  });

  it('for everything of envd except its files', async () => {
    for (const path of ['/init', '/process.Process/Start', '/files/compose', '/files/', '/metrics', '/envs'])
      for (const method of ['GET', 'POST'])
        expect([path, (await ask({ url: portUrl(49983, path), method })).status]).toEqual([path, 403]);
    expect((await ask({ url: portUrl(49983, '/files?path=a'), method: 'DELETE' })).status).toBe(403);
    expect((await ask({ url: portUrl(49983, '/files?path=a&path=b') })).status).toBe(400);
    expect((await ask({ url: portUrl(49983, '/files?path=a&signature=v1_x') })).status).toBe(400);
    expect((await ask({ url: `/sandboxes-http/49983-${id}/init`, method: 'POST' })).status).toBe(403);
    expect((await ask({ url: portUrl(49983, '/files?path=a'), method: 'POST' })).status).toBe(201);
  });

  it('for a prefix without a slash at its end', async () => {
    const status = async (url: string) => (await ask({ url, prefix: true })).status;
    expect([await status(portUrl(8080, '/a')), await status(portUrl(8080, '/a/'))]).toEqual([400, 201]);
    for (const path of ['', 'a/', '/a', '/a/../', '/a//'])
      expect([path, await status(portUrl(49983, `/files?path=${encodeURIComponent(path)}`))]).toEqual([path, 400]);
    expect(await status(portUrl(49983, '/files?path=%2Fhome%2Fuser%2F'))).toBe(201);
  });
});

describe('the check for the gateway', () => {
  it('allows a request for a port of the own sandbox', async () => {
    const url = await sign({ url: portUrl(8080, '/a?b=1') });
    expect(await check(url)).toBe('allowed');
    expect(await check(url, { method: 'HEAD' })).toBe('allowed');
    expect(await check(url.replace('b=1', 'b=2'))).toBe('unauthorized');
    expect(await check(url, { method: 'POST' })).toBe('unauthorized');
    expect(await check(url, { authority: 'other.example' })).toBe('unauthorized');
    expect(await check(portUrl())).toBe('bad_request');
  });

  it('never allows another sandbox than the one of the team, whatever the gateway has read', async () => {
    const url = await sign({ url: portUrl() });
    const theirs = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' }, key: api.otherKey });
    const { sandboxID } = theirs.json as { sandboxID: string };
    expect(await check(url, { destination: { kind: 'sandbox', sandboxId: sandboxID, port: 8080 } })).toBe('forbidden');
    expect(await check(url, { destination: { kind: 'function', name: 'x' } })).toBe('forbidden');
  });

  it('never allows more of envd than files, whatever was signed', async () => {
    const url = await sign({ url: portUrl(8080, '/init') });
    const destination = { kind: 'sandbox', sandboxId: id, port: 49983 } as const;
    expect(await check(url, { destination })).toBe('forbidden');
  });

  it('knows the path form by the host of the API', async () => {
    const url = await sign({ url: `/sandboxes-http/49983-${id}/files?path=%2Fa` });
    const destination = { kind: 'sandbox', sandboxId: id, port: 49983 } as const;
    expect(await check(url, { destination, isSharedHost: true })).toBe('allowed');
    expect(await check(url, { destination, isSharedHost: false })).toBe('forbidden');
  });

  it('checks size, type and encoding of the body before it uses a one-time URL', async () => {
    const body = { url: portUrl(8080, '/in'), method: 'POST', once: true, maxBytes: 10, contentType: 'image/png' };
    const url = await sign(body);
    const facts = { address: '192.0.2.1', contentTypes: ['image/png'], contentEncodings: [], isUpgrade: false };
    const post = (more: object) =>
      check(url, { method: 'POST', facts: { announcedBytes: undefined, ...facts, ...more } });
    expect(await post({ announcedBytes: 11 })).toBe('body_too_large');
    expect(await post({ contentTypes: ['text/html'] })).toBe('unsupported_media_type');
    expect(await post({ contentTypes: [] })).toBe('unsupported_media_type');
    expect(await post({ contentEncodings: ['gzip'] })).toBe('unsupported_media_type');
    expect(await post({ isUpgrade: true })).toBe('forbidden');
    expect(await check(url, { method: 'POST', isPreflight: true })).toBe('allowed');
    expect(await post({ announcedBytes: 10 })).toBe('allowed');
    expect(await post({ announcedBytes: 10 })).toBe('signed_url_used');
  });

  it('lets exactly one of 50 requests at the same moment use a one-time URL', async () => {
    const url = await sign({ url: portUrl(), once: true });
    const results = await Promise.all(Array.from({ length: 50 }, () => check(url)));
    expect(results.filter((result) => result === 'allowed')).toHaveLength(1);
    expect(results.filter((result) => result === 'signed_url_used')).toHaveLength(49);
  });

  it('refuses one-time URLs when the store of nonces is full, and forgets none', async () => {
    await startAnew({ config: { teamNonceLimit: 2 } });
    const urls = [];
    for (let n = 0; n < 3; n++) urls.push(await sign({ url: portUrl(), once: true, expiresInSeconds: 60 }));
    const [one = '', two = '', three = ''] = urls;
    expect([await check(one), await check(two), await check(three)]).toEqual(['allowed', 'allowed', 'limit_exceeded']);
    expect((await ask({ url: portUrl(), once: true })).status).toBe(429);
    expect(await check(await sign({ url: portUrl() }))).toBe('allowed');
    expect([await check(one), await check(two)]).toEqual(['signed_url_used', 'signed_url_used']);
    // A nonce is kept for a while after its URL has expired.
    now.value += 66_000;
    expect([await check(one), await check(three)]).toEqual(['unauthorized', 'unauthorized']);
    now.value += 10 * 60_000;
    // The purge runs every ten minutes, and a use of a full store removes what has expired.
    await api.records.usedNonces.purge(now.value, 10);
    expect(await check(await sign({ url: portUrl(), once: true }))).toBe('allowed');
  });

  it('throttles wrong signatures like wrong keys, and valid ones never', async () => {
    const url = await sign({ url: portUrl() });
    const wrong = `${url.slice(0, -43)}${'A'.repeat(43)}`;
    const results: string[] = [];
    for (let n = 0; n < 203; n++) results.push(await check(wrong));
    expect(results.slice(0, 200).every((result) => result === 'unauthorized')).toBe(true);
    expect(results.slice(200)).toEqual(['limit_exceeded', 'limit_exceeded', 'limit_exceeded']);
    expect((await api.ask('GET', '/teams', { key: 'e2b_wrong' })).status).toBe(429);
    expect(await check(url)).toBe('allowed');
  });
});

describe('the question of the gateway about open requests', () => {
  const signerOf = (url: string) => {
    const query = new URL(url).searchParams;
    return { keyId: query.get('soulbox-key') ?? '', signerId: query.get('soulbox-by') ?? '' };
  };

  it('finds nothing while the keys are valid, even after the URL has expired', async () => {
    const signer = signerOf(await sign({ url: portUrl(), expiresInSeconds: 1 }));
    now.value += 60_000;
    expect(await api.signedUrls.findEnded([signer])).toEqual([]);
  });

  it('finds a signing key that was replaced, when its overlap is over', async () => {
    const signer = signerOf(await sign({ url: portUrl() }));
    const rotated = await api.ask('POST', '/signing-keys', { body: { overlapSeconds: 60 } });
    expect(rotated.status).toBe(201);
    expect(await api.signedUrls.findEnded([signer])).toEqual([]);
    now.value += 60_000;
    expect(await api.signedUrls.findEnded([signer, signerOf(await sign({ url: portUrl() }))])).toEqual([signer]);
  });

  it('finds a signing key that was ended, and one that nobody knows', async () => {
    const signer = signerOf(await sign({ url: portUrl() }));
    await api.ask('DELETE', `/signing-keys/${signer.keyId}`);
    const unknown = { keyId: 'sabcdefghijkl', signerId: signer.signerId };
    expect(await api.signedUrls.findEnded([signer, unknown])).toEqual([signer, unknown]);
  });

  it('finds an API key that was revoked, that has expired, and a team that was deleted', async () => {
    const make = async (expiresAt?: number) =>
      await createApiKey(api.records, { id: api.teamId }, 'k', { ...(expiresAt === undefined ? {} : { expiresAt }) });
    const [revoked, expiring] = [await make(), await make(now.value + 60_000)];
    const signers = [];
    for (const { key } of [revoked, expiring]) signers.push(signerOf(await sign({ url: portUrl() }, key.reveal())));
    const theirs = signerOf(await sign({ url: logs() }, api.otherKey));
    await api.records.apiKeys.remove(api.teamId, revoked.record.id);
    expect(await api.signedUrls.findEnded([...signers, theirs])).toEqual(signers.slice(0, 1));
    now.value += 60_000;
    const db = new DatabaseSync(`${api.folder}/records.sqlite`);
    db.exec(`PRAGMA foreign_keys = OFF; DELETE FROM teams WHERE id = '${api.otherTeamId}'`);
    db.close();
    expect(await api.signedUrls.findEnded([...signers, theirs])).toEqual([...signers, theirs]);
  });
});

it('neither the log nor the records contain a signature or a key', async () => {
  const url = await sign({ url: logs() });
  await statusOf(url);
  const log = await api.readLog();
  expect(log).toContain('URL signed');
  expect(log).not.toContain(new URL(url).searchParams.get('soulbox-signature'));
  expect(log).not.toContain('a-secret-for-signed-urls');
});
