import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tileNames, tilePath } from '@soulbox/audit';
import type { AuditRecord } from '@soulbox/audit';
import { SoulBoxError } from '@soulbox/base';
import { verifyLog } from '@soulbox/audit/verify-log';
import { startTestApi, until } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
});

const read = async (key = api.key): Promise<AuditRecord[]> =>
  (await api.ask('GET', '/audit/records', { key })).json as AuditRecord[];
const withAction = async (action: string): Promise<AuditRecord[]> =>
  (await read()).filter((record) => record.action === action);
/** Waits for as many records of an action. */
async function recordsOf(action: string, count: number): Promise<AuditRecord[]> {
  await until(async () => (await withAction(action)).length >= count);
  return await withAction(action);
}
const create = async (): Promise<string> => {
  const { status, json } = await api.ask('POST', '/sandboxes', {
    body: { templateID: 'base', envVars: { DB_PASSWORD: 'hunter2-secret' }, metadata: { owner: 'jane@example.com' } },
    headers: { 'x-forwarded-for': '203.0.113.77', 'user-agent': 'e2b-js-sdk/2.51.0 (jane)' },
  });
  expect(status).toBe(201);
  return (json as { sandboxID: string }).sandboxID;
};
interface LogInfo {
  readonly verifierKey: string;
  readonly size: number;
}
const info = async (key = api.key): Promise<LogInfo> => (await api.ask('GET', '/audit', { key })).json as LogInfo;

describe('an action with outside effect', () => {
  test('is recorded before and after it, with who, what, and the result', async () => {
    const sandboxId = await create();
    const [admitted, outcome] = await recordsOf('sandbox.create', 2);
    expect(admitted).toMatchObject({
      ...{ seq: 0, writerSeq: 0, stage: 'admitted', class: 'operation', scope: 'team', rule: 'key' },
      actor: { kind: 'key' },
      target: { kind: 'sandbox', id: '', team: api.teamId },
      request: { method: 'POST', route: '/sandboxes' },
      source: { network: '203.0.113.0/24', agent: 'e2b-js-sdk' },
    });
    expect(outcome).toMatchObject({
      ...{ stage: 'outcome', result: { status: 'success', code: 201 }, request: { id: admitted?.request?.id } },
      target: { id: sandboxId },
    });
    expect((outcome?.retainUntil ?? 0) - (outcome?.time ?? 0)).toBe(365 * 24 * 3600 * 1000);
  });

  test('that sets a network policy is recorded with what the policy contains, and without credentials', async () => {
    const canary = 'canary-of-a-header';
    const network = {
      ...{ allowOut: ['a.example'], denyOut: ['0.0.0.0/0'] },
      rules: { 'api.example.com': [{ transform: { headers: { authorization: `Bearer ${canary}` } } }] },
      egressProxy: { address: '203.0.113.7:1080', username: canary, password: canary },
    };
    const body = { templateID: 'base', network, allow_internet_access: false };
    const made = (await api.ask('POST', '/v2/sandboxes', { body })).json as { sandboxID: string };
    await api.ask('PUT', `/sandboxes/${made.sandboxID}/network`, { body: { ...network, learn: true } });
    const facts = { allowOut: 1, denyOut: 1, rules: 1, ruleHosts: 'api.example.com', placeholders: 0, proxy: true };
    const created = await recordsOf('sandbox.create', 2);
    expect(created.map((record) => record.facts)).toMatchObject(Array(2).fill({ ...facts, internet: false }));
    const changed = await recordsOf('sandbox.network', 2);
    expect(changed.map(({ stage }) => stage)).toEqual(['admitted', 'outcome']);
    expect(changed.map((record) => record.facts)).toMatchObject(Array(2).fill({ ...facts, learn: true }));
    expect(changed[0]?.facts?.['digest']).not.toBe(created[0]?.facts?.['digest']);
    expect(JSON.stringify(await read())).not.toContain(canary);
    // Ten hosts of the greatest length still have the form.
    const hosts = Array.from(
      { length: 10 },
      (_, n) => `${n}${'a'.repeat(62)}.${'b'.repeat(63)}.${'c'.repeat(63)}.example`,
    );
    const rules = Object.fromEntries(hosts.map((host) => [host, [{ requests: [] }]]));
    await api.ask('PUT', `/sandboxes/${made.sandboxID}/network`, { body: { rules } });
    const long = await recordsOf('sandbox.network', 4);
    expect(long.at(-1)?.facts?.['ruleHosts']).toBe(hosts.join(','));
  });

  test('that gives a sandbox volumes is recorded with their names', async () => {
    for (const name of ['data', 'Other_1']) await api.ask('POST', '/volumes', { body: { name } });
    const volumeMounts = ['data', 'Other_1'].map((name) => ({ name, path: `/${name}` }));
    expect((await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', volumeMounts } })).status).toBe(201);
    const created = await recordsOf('sandbox.create', 2);
    expect(created.map(({ facts }) => facts)).toEqual(Array(2).fill({ volumes: 'data,Other_1' }));
  });

  test('that fails is recorded with its failure', async () => {
    expect((await api.ask('DELETE', '/sandboxes/i0000000000000000000')).status).toBe(404);
    const [, outcome] = await recordsOf('sandbox.kill', 2);
    expect(outcome).toMatchObject({ stage: 'outcome', result: { status: 'failure', code: 404 } });
  });

  test('that is not valid or has no valid key leaves no record', async () => {
    expect((await api.ask('POST', '/sandboxes', { body: { templateID: 5 } })).status).toBe(400);
    expect((await api.ask('POST', '/sandboxes', { key: 'e2b_wrong', body: { templateID: 'base' } })).status).toBe(401);
    expect(await read()).toEqual([]);
  });
});

test('neither secrets, values of variables, metadata, addresses nor user agents can be read in the log', async () => {
  await create();
  await recordsOf('sandbox.create', 2);
  const { json: made } = await api.ask('POST', '/api-keys', { body: { name: 'Jane Doe' } });
  const text = JSON.stringify(await read());
  for (const secret of ['hunter2', 'jane', 'Jane', '203.0.113.77', '2.51.0', api.key, (made as { key: string }).key])
    expect(text).not.toContain(secret);
  expect(text).toContain('"sealed"');
});

describe('a change of the records', () => {
  test('and its record are committed together: one record, which names what was made', async () => {
    const { json } = await api.ask('POST', '/api-keys', { body: { name: 'one' } });
    const { id } = json as { id: string };
    // Committed with the change: no waiting.
    expect(await withAction('key.create')).toMatchObject([
      { stage: 'event', class: 'security', target: { kind: 'key', id } },
    ]);
    expect((await api.ask('DELETE', `/api-keys/${id}`)).status).toBe(204);
    expect(await withAction('key.revoke')).toMatchObject([{ target: { id }, result: { status: 'success' } }]);
  });

  test('that does not happen is recorded as a failure', async () => {
    expect((await api.ask('DELETE', '/api-keys/nobody')).status).toBe(404);
    expect(await recordsOf('key.revoke', 1)).toMatchObject([{ result: { status: 'failure', code: 404 } }]);
  });
});

describe('the published log', () => {
  async function exported(): Promise<string> {
    const { size, verifierKey } = await info();
    const folder = join(dirname(await logFolder()), '..', 'export');
    const files = ['checkpoint', ...[...tileNames(size)].map(tilePath)];
    for (const path of files) {
      const answer = await fetch(`${api.url}/audit/log/${path}`, { headers: { 'x-api-key': api.key } });
      expect(answer.status).toBe(200);
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), Buffer.from(await answer.arrayBuffer()));
    }
    await writeFile(join(folder, 'log.json'), JSON.stringify({ verifierKey, from: 0 }));
    return folder;
  }
  const logFolder = (): Promise<string> => Promise.resolve(join(api.folder, 'audit', api.teamId));

  test('has all records soon, and is verified offline', async () => {
    await create();
    await recordsOf('sandbox.create', 2);
    await until(async () => (await info()).size >= 2);
    const report = verifyLog({ directory: await exported(), key: (await info()).verifierKey });
    expect(report).toMatchObject({ faults: [], incomplete: 0 });
    expect(report.records).toBeGreaterThanOrEqual(2);
  });

  test('continues after a restart, without a gap', async () => {
    await create();
    const first = await recordsOf('sandbox.create', 2);
    await api.restart();
    await create();
    const all = await recordsOf('sandbox.create', 4);
    expect(all.slice(0, 2)).toEqual(first);
    const everything = await read();
    expect(everything.map(({ seq }) => seq)).toEqual(everything.map((_, index) => index));
    expect(new Set(everything.map(({ writer }) => writer)).size).toBe(1);
  });

  test('of one team cannot be read by another, nor files outside of it', async () => {
    await create();
    await recordsOf('sandbox.create', 2);
    expect((await read(api.otherKey)).map(({ action }) => action)).not.toContain('sandbox.create');
    expect((await info(api.otherKey)).verifierKey).not.toBe((await info()).verifierKey);
    for (const path of [
      'tile/0/../../../secrets',
      'erased.jsonl',
      'minimum-index',
      'tile/0/999',
      'tile/0/000',
      '..%2f..%2frecords.sqlite',
      '',
    ])
      expect((await api.ask('GET', `/audit/log/${path}`)).status, path).toBe(404);
    expect((await api.ask('GET', '/audit/log/checkpoint', { key: null })).status).toBe(401);
    expect((await readdir(join(api.folder, 'audit'))).length).toBe(2);
  });

  test('is itself read with a record of that', async () => {
    await read();
    expect((await recordsOf('audit.read', 1))[0]).toMatchObject({ class: 'reading', actor: { kind: 'key' } });
  });

  test('is not continued when its checkpoint was changed; actions go on, and their records wait', async () => {
    await create();
    await recordsOf('sandbox.create', 2);
    await until(async () => (await info()).size >= 2);
    const file = join(await logFolder(), 'checkpoint');
    const note = await readFile(file, 'utf8');
    await create();
    await until(async () => {
      // A checkpoint that is being published at this moment replaces it.
      await writeFile(file, note.replace(/^\d+$/m, '1'));
      return (await api.readLog()).includes('the audit log of a team cannot be written');
    });
    const waiting = await api.records.audit.listWaiting(api.teamId, 0, 100);
    expect(waiting.some(({ text }) => text.includes('"sandbox.create"'))).toBe(true);
    expect(await readFile(file, 'utf8')).toMatch(/^1$/m);
  });
});

describe('a full log', () => {
  async function fill(teamId: string): Promise<void> {
    // 1 MiB is the smallest limit.
    for (let count = 0; count < 16; count += 1) {
      const compose = (): string => JSON.stringify({ filler: 'x'.repeat(65_000) });
      await api.records.audit.append({ teamId, compose }, Infinity);
    }
    await api.records.audit.append({ teamId, compose: () => `"${'x'.repeat(9000)}"` }, Infinity);
  }

  test('refuses actions with 503, but not kills, pauses, health and reading', async () => {
    await api[Symbol.asyncDispose]();
    api = await startTestApi({ config: { auditLogMb: 1 } });
    const [one, two] = [await create(), await create()];
    await recordsOf('sandbox.create', 4);
    await fill(api.teamId);
    const refused: Answer[] = [
      await api.ask('POST', '/sandboxes', { body: { templateID: 'base' } }),
      await api.ask('POST', '/api-keys', { body: { name: 'x' } }),
      await api.ask('POST', `/sandboxes/${one}/timeout`, { body: { timeout: 60 } }),
    ];
    for (const { status, json } of refused) {
      expect(status).toBe(503);
      expect((json as { message: string }).message).toMatch(/audit log of the team is full/);
    }
    expect((await api.ask('POST', `/sandboxes/${two}/pause`)).status).toBe(204);
    expect((await api.ask('DELETE', `/sandboxes/${one}`)).status).toBe(204);
    expect((await api.ask('GET', '/v2/sandboxes')).status).toBe(200);
    expect((await api.ask('GET', '/health', { key: null })).status).toBe(204);
    expect((await api.ask('POST', '/sandboxes', { key: api.otherKey, body: { templateID: 'base' } })).status).toBe(201);
    const head = await api.records.audit.findHead(api.teamId);
    // Two creates; the fillers; admitted and outcome of kill and pause; the failed change of keys.
    await until(async () => ((await api.records.audit.findHead(api.teamId))?.next ?? 0) >= 4 + 17 + 4);
    expect(head?.bytes).toBeGreaterThan(1024 * 1024);
    // The operator is told, once.
    const countWarnings = async (): Promise<number> =>
      (await api.readLog()).split('"msg":"the audit log of a team is almost full"').length - 1;
    await until(async () => (await countWarnings()) > 0);
    expect(await countWarnings()).toBe(1);
  });
});

test('a full disk refuses with 503 what cannot be recorded, but not kills, pauses and deletes', async () => {
  const [one, two] = [await create(), await create()];
  await recordsOf('sandbox.create', 4);
  const full = (): Promise<never> => Promise.reject(new SoulBoxError('disk_full', 'no room'));
  api.records.audit.append = full;
  const refused = await api.ask('POST', '/sandboxes', { body: { templateID: 'base' } });
  expect(refused.status).toBe(503);
  expect((refused.json as { message: string }).message).toContain(
    'The disk of the server is full, and nothing was changed',
  );
  // With the reserve.
  expect((await api.ask('DELETE', '/snapshots/nobody')).status).toBe(404);
  // Even without it.
  api.records.audit.appendUrgent = full;
  expect((await api.ask('DELETE', '/snapshots/nobody')).status).toBe(503);
  expect((await api.ask('POST', `/sandboxes/${two}/pause`)).status).toBe(204);
  expect((await api.ask('DELETE', `/sandboxes/${one}`)).status).toBe(204);
  expect(await api.readLog()).toContain('an action without its audit record');
});

test('a database that was set back does not rewrite the log: the log goes on and says so', async () => {
  await create();
  await recordsOf('sandbox.create', 2);
  await until(async () => (await info()).size >= 2);
  await api.restart();
  const { size } = await info();
  const before = (await api.ask('GET', '/audit/log/checkpoint')).text;
  // As if yesterday's file had been put back: the numbers start at 0 again.
  const head = await api.records.audit.findHead(api.teamId);
  await api.records.audit.align(api.teamId, {
    ...{ origin: head?.origin ?? '', size: 0, keep: [], writer: 'yesterday', move: (text: string) => text },
  });
  await api.restart();
  await until(async () => (await withAction('audit.rolled-back')).length === 1);
  const [told] = await withAction('audit.rolled-back');
  expect(told).toMatchObject({ actor: { kind: 'server' }, facts: { previousSize: 0 } });
  expect(told?.seq).toBeGreaterThanOrEqual(size);
  await until(async () => (await info()).size > size);
  expect(before.split('\n')[1]).toBe(String(size));
});

describe('a change of secrets and signing keys', () => {
  test('is recorded once, with the id, in one transaction with the change', async () => {
    const made = await api.ask('POST', '/secrets', { body: { name: 'openai-key', value: 'canary-secret-value' } });
    const { secretID } = made.json as { secretID: string };
    expect((await api.ask('POST', '/secrets/openai-key', { body: { value: 'canary-2' } })).status).toBe(200);
    expect((await api.ask('GET', '/secrets/openai-key')).status).toBe(200);
    expect((await api.ask('DELETE', '/secrets/OPENAI-key')).status).toBe(204);
    const key = (await api.ask('POST', '/signing-keys', { body: { overlapSeconds: 0 } })).json as { id: string };
    expect((await api.ask('DELETE', `/signing-keys/${key.id}`)).status).toBe(204);
    await recordsOf('signing-key.revoke', 1);
    await recordsOf('secret.read', 1);
    const all = (await read()).filter(({ target }) => target.kind !== 'log');
    expect(all.map(({ action, stage, target }) => [action, stage, target.id]).toSorted()).toEqual([
      ['secret.create', 'event', secretID],
      ['secret.delete', 'event', secretID],
      ['secret.read', 'event', secretID],
      ['secret.update', 'event', secretID],
      ['signing-key.create', 'event', key.id],
      ['signing-key.revoke', 'event', key.id],
    ]);
    expect(JSON.stringify(all)).not.toMatch(/canary|openai/i);
  });

  test('that fails is recorded as such, and changes nothing', async () => {
    expect((await api.ask('DELETE', '/secrets/unknown')).status).toBe(404);
    const [record] = await recordsOf('secret.delete', 1);
    expect(record).toMatchObject({ stage: 'event', result: { status: 'failure', code: 404 } });
  });
});

describe('the use of a signed URL', () => {
  async function sign(body: object): Promise<string> {
    const answer = await api.ask('POST', '/signed-urls', { body: { method: 'GET', ...body } });
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
    return (answer.json as { url: string }).url;
  }

  test('is recorded each time for a one-time URL, with its source, and replays are counted', async () => {
    const id = await create();
    const url = await sign({ url: `${api.url}/sandboxes/${id}/logs`, once: true });
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(url)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    const records = await recordsOf('signed-url.use', 2);
    const [used] = records.filter(({ result }) => result?.status === 'success');
    expect(used).toMatchObject({
      ...{ stage: 'event', rule: 'signature', actor: { kind: 'key' }, target: { kind: 'sandbox', id } },
      facts: { once: true, signingKeyId: expect.stringMatching(/^s[a-z0-9]{12}$/) as string },
      sealed: expect.any(String) as string,
    });
    expect(records.filter(({ result }) => result?.status === 'failure')).toMatchObject([{ facts: { count: 1 } }]);
    // The others are counted, and recorded when the server stops.
    await api.restart();
    const failures = (await recordsOf('signed-url.use', 3)).filter(({ result }) => result?.status === 'failure');
    expect(failures.map(({ facts }) => facts?.['count'])).toEqual([1, 18]);
  });

  test('is counted for other URLs', async () => {
    const id = await create();
    const url = await sign({ url: `${api.url}/sandboxes/${id}/logs` });
    for (let n = 0; n < 30; n += 1) expect((await fetch(url)).status).toBe(200);
    await api.restart();
    const records = await recordsOf('signed-url.use', 2);
    expect(records.map(({ facts }) => facts?.['count'])).toEqual([1, 29]);
    expect(records[0]).toMatchObject({ target: { kind: 'sandbox', id }, result: { status: 'success' } });
  });

  test('is refused for a one-time URL when the log is full, and the URL stays valid', async () => {
    await api[Symbol.asyncDispose]();
    api = await startTestApi({ config: { auditLogMb: 1 } });
    const id = await create();
    const url = await sign({ url: `${api.url}/sandboxes/${id}/logs`, once: true });
    const text = 'x'.repeat(1_100_000);
    await api.records.audit.append({ teamId: api.teamId, compose: () => text }, Infinity);
    expect((await fetch(url)).status).toBe(503);
    await api.records.audit.release(api.teamId, 1_200_000);
    expect((await fetch(url)).status).toBe(200);
  });
});

describe('the direct use of a sandbox', () => {
  test('is counted for its team, by what was used and shown; unknown sandboxes are ignored', async () => {
    const id = await create();
    const use = { sandboxId: id, part: 'process', credential: 'token', count: 40 } as const;
    await api.sandboxUses.report([use, { ...use, sandboxId: 'i0000000000000000009' }]);
    await api.sandboxUses.report([use, { ...use, part: 'files', credential: 'none', count: 2 }]);
    await api.restart();
    const records = await recordsOf('envd.process', 2);
    expect(records.map(({ facts }) => facts?.['count'])).toEqual([40, 40]);
    expect(records[0]).toMatchObject({ actor: { kind: 'token', id: 'token' }, target: { kind: 'sandbox', id } });
    expect(await withAction('envd.files')).toMatchObject([{ rule: 'none', facts: { count: 2 } }]);
    expect(await read(api.otherKey)).toEqual([]);
  });
});

describe('the export of the records', () => {
  const signed = async (url: string, key = api.key): Promise<Answer> =>
    await api.ask('POST', '/signed-urls', { body: { url, expiresInSeconds: 60 }, key });
  const linesIn = (text: string): AuditRecord[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditRecord);

  test('has the published records in their order, also by a signed URL, whose range nobody can change', async () => {
    for (let n = 0; n < 150; n += 1)
      await api.ask('POST', '/secrets', { body: { name: `s${n}`, value: 'canary-value' } });
    await until(async () => (await info()).size >= 150);
    const whole = await api.ask('GET', '/audit/export');
    expect([whole.status, whole.headers.get('content-type')]).toEqual([200, 'application/x-ndjson; charset=utf-8']);
    const records = linesIn(whole.text);
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, n) => n));
    expect(records.length).toBeGreaterThanOrEqual(150);
    expect(whole.text).not.toContain('canary-value');
    const { url } = (await signed('/audit/export?from=3&to=7')).json as { url: string };
    const answer = await fetch(url);
    expect(linesIn(await answer.text())).toEqual(records.slice(3, 7));
    expect((await fetch(url.replace('to=7', 'to=70'))).status).toBe(401);
    expect((await fetch(url.replace('from=3&', ''))).status).toBe(401);
    await until(async () => (await withActionIn('audit.export')).length >= 2);
  });

  /** All of an action, however many other records there are. */
  const withActionIn = async (action: string): Promise<AuditRecord[]> =>
    linesIn((await api.ask('GET', '/audit/export')).text).filter((record) => record.action === action);

  test('is that of the own team, and can be neither read nor signed without the scope admin', async () => {
    await create();
    await until(async () => (await info()).size >= 2);
    const { url } = (await signed('/audit/export', api.otherKey)).json as { url: string };
    expect(await (await fetch(url)).text()).not.toContain(api.teamId);
    const made = await api.ask('POST', '/api-keys', { body: { name: 'k', role: 'developer' } });
    const { key } = made.json as { key: string };
    expect((await api.ask('GET', '/audit/export', { key })).status).toBe(403);
    expect((await signed('/audit/export', key)).status).toBe(403);
    expect((await fetch(`${api.url}/audit/export`)).status).toBe(401);
  });

  test.each([
    ['?from=1000000', 200],
    ['?from=9007199254740991&to=9007199254740991', 200],
    ['?from=5&to=2', 200],
    ['?from=-1', 400],
    ['?to=x', 400],
    ['?to=1e400', 400],
  ])('with %s ends at once with %i', async (query, status) => {
    const answer = await api.ask('GET', `/audit/export${query}`);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.text).toBe('');
  });

  test('ends when the key is revoked through which its URL was signed', async () => {
    const made = await api.ask('POST', '/api-keys', { body: { name: 'k' } });
    const { key, id } = made.json as { key: string; id: string };
    const { url } = (await signed('/audit/export', key)).json as { url: string };
    expect((await fetch(url)).status).toBe(200);
    await api.ask('DELETE', `/api-keys/${id}`);
    expect((await fetch(url)).status).toBe(401);
  });
});
