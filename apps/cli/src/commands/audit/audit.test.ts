import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createSubjectKey,
  leafOf,
  openAuditSigningKey,
  openLog,
  openLogFiles,
  operatorDraft,
  recordOfLeaf,
} from '@soulbox/audit';
import type { Log } from '@soulbox/audit';
import { removeTree } from '@soulbox/base';
import { openTestKeyring } from '@soulbox/keyring/testing';
import { ensureDefaultTeam, openSqliteRecords } from '@soulbox/storage';
import { runCli } from '../../testing/run-cli.ts';

let directory: string;
let data: string;
let team: string;
const audit = async (...args: string[]) => await runCli(['audit', ...args, '--data-dir', data]);
const json = async (...args: string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await audit(...args, '--json')).stdout) as Record<string, unknown>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-audit-'));
  data = join(directory, 'data');
  await mkdir(join(data, 'audit'), { recursive: true });
  await using records = openSqliteRecords(join(data, 'records.sqlite'));
  team = (await ensureDefaultTeam(records)).id;
});
afterEach(async () => {
  await removeTree(directory);
});

/** A log of records that may be pruned from `retainUntil` on. */
async function makeLog(count: number, retainUntil: number): Promise<Log> {
  const signingKey = await openAuditSigningKey(join(data, 'secrets'));
  await mkdir(join(data, 'audit', team), { recursive: true });
  const files = openLogFiles(join(data, 'audit', team));
  const log = await openLog({ files, privateKey: signingKey.reveal(), newOrigin: `soulbox.test/${team}` });
  const draft = {
    ...operatorDraft({ action: 'key.create', teamId: team, target: { kind: 'key', id: 'k' } }, 5),
    retainUntil,
  };
  await log.append(
    Array.from({ length: count }, (_, seq) => Buffer.from(leafOf(draft, { seq, writer: 'w', writerSeq: seq }))),
  );
  return log;
}

/** Actions that wait for the log. */
async function waiting(): Promise<string[]> {
  await using records = openSqliteRecords(join(data, 'records.sqlite'));
  return (await records.audit.listWaiting(team, 0, 100)).map(({ text }) => recordOfLeaf(text).action);
}

test('commands that change keys and teams leave a record, without names and values', async () => {
  const { stdout } = await runCli(['key', 'create', 'Jane', '--data-dir', data]);
  await runCli(['key', 'revoke', 'Jane', '--data-dir', data]);
  expect(await waiting()).toEqual(['key.create', 'key.revoke']);
  await using records = openSqliteRecords(join(data, 'records.sqlite'));
  const text = JSON.stringify(await records.audit.listWaiting(team, 0, 100));
  expect(text).not.toContain('Jane');
  expect(text).not.toContain(stdout.trim());
});

describe('prune', () => {
  test('deletes whole bundles past their time, and records that', async () => {
    await makeLog(300, 1000);
    expect(await json('prune', '--dry-run')).toMatchObject({ from: 0, to: 256, count: 256 });
    expect(await waiting()).toEqual([]);
    expect(await json('prune')).toMatchObject({ from: 0, to: 256, count: 256 });
    expect(await waiting()).toEqual(['audit.prune']);
    expect(await readdir(join(data, 'audit', team, 'tile/entries'))).toEqual(['001.p']);
    expect(await json('prune')).toMatchObject({ from: 256, to: 256, count: 0 });
    expect(await waiting()).toEqual(['audit.prune']);
  });

  test('keeps what must be kept, and everything during a legal hold', async () => {
    await makeLog(300, Date.now() + 60_000);
    expect(await json('prune')).toMatchObject({ count: 0 });
    await removeTree(join(data, 'audit', team));
    await makeLog(300, 1000);
    const [hold] = (await json('hold', '--until', '2199-12-31', '--reason', 'case-1')) as unknown as { id: string }[];
    expect(await json('prune')).toMatchObject({ count: 0 });
    expect((await audit('hold', '--release', hold?.id ?? '')).code).toBe(0);
    expect(await json('prune')).toMatchObject({ count: 256 });
    expect(await waiting()).toEqual(['audit.hold', 'audit.release', 'audit.prune']);
  });

  test('says when there is no log, and refuses one that does not match its checkpoint', async () => {
    expect((await audit('prune')).stderr).toContain('has no audit log yet');
    await makeLog(300, 1000);
    await writeFile(join(data, 'audit', team, 'tile/0/001.p/44'), Buffer.alloc(44 * 32));
    const refused = await audit('prune');
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(await waiting()).toEqual([]);
  });
});

describe('erase', () => {
  async function addKey(subject: string): Promise<string> {
    await using records = openSqliteRecords(join(data, 'records.sqlite'));
    const { stored } = await createSubjectKey(await openTestKeyring(records), team);
    return (await records.audit.addSubjectKey(team, subject, stored)).id;
  }

  test('destroys the key of a subject, records its id only, and remembers it', async () => {
    const keyId = await addKey('api-key-1');
    expect(await json('erase', 'api-key-1', '--basis', 'gdpr-17')).toMatchObject({ erased: 1 });
    expect(await waiting()).toEqual(['privacy.erase']);
    await using records = openSqliteRecords(join(data, 'records.sqlite'));
    const [row] = await records.audit.listWaiting(team, 0, 1);
    expect(recordOfLeaf(row?.text ?? '').facts).toEqual({ erasedKeyId: keyId, basis: 'gdpr-17' });
    expect(row?.text).not.toContain('api-key-1');
    expect(JSON.parse(await readFile(join(data, 'audit/erased.jsonl'), 'utf8'))).toMatchObject({ teamId: team, keyId });
    expect((await audit('erase', 'api-key-1')).stderr).toContain('key_not_found');
  });

  test('is repeated from the list of another server', async () => {
    const keyId = await addKey('api-key-1');
    const list = join(directory, 'erased.jsonl');
    await writeFile(
      list,
      `${JSON.stringify({ teamId: team, keyId, at: 1 })}\n{"teamId":"x","keyId":"y","at":1}\n{"cut`,
    );
    expect(await json('erase', '--replay', list)).toMatchObject({ erased: 1 });
    expect(await json('erase', '--replay', list)).toMatchObject({ erased: 0 });
  });

  test('does nothing during a legal hold, and needs one of its arguments', async () => {
    await addKey('api-key-1');
    await audit('hold', '--until', '2199-12-31');
    expect((await audit('erase', 'api-key-1')).stderr).toContain('legal hold');
    expect(await waiting()).toEqual(['audit.hold']);
    expect((await audit('erase')).code).not.toBe(0);
    expect((await audit('erase', 'x', '--replay', 'y')).code).not.toBe(0);
  });
});

test.each([
  ['--until', 'tomorrow'],
  ['--until', '2001-01-01'],
  ['--until', '2199-12-31', '--reason', 'Free Text'],
  ['--release', 'nobody'],
])('hold %s %s %s %s is refused, and leaves no record', async (...args) => {
  expect((await audit('hold', ...args)).code).not.toBe(0);
  expect(await waiting()).toEqual([]);
});

describe('export and verify', () => {
  /** Serves a log as the API does. */
  async function serve(log: Log) {
    const server = createServer((request, response) => {
      const path = request.url ?? '';
      void (async () => {
        if (path === '/audit') {
          const { origin, verifierKey, checkpoint } = log;
          const witness = { name: 'w.example', size: 300, signedAt: '2026-01-01T00:00:00Z', problem: 'unreachable' };
          const info = { origin, verifierKey, size: checkpoint.size, minimum: await log.readMinimum() };
          response.end(JSON.stringify({ ...info, witnessedSize: 300, witnesses: [witness] }));
          return;
        }
        response.end(await readFile(join(data, 'audit', team, path.replace('/audit/log/', ''))));
      })();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const environment = { E2B_API_URL: `http://127.0.0.1:${port}`, E2B_API_KEY: 'e2b_x' };
    return {
      call: async (...args: string[]) => await runCli(['audit', ...args], environment),
      [Symbol.dispose]: () => void server.close(),
    };
  }

  test('take the newest checkpoint that witnesses have signed when asked to, and status shows them', async () => {
    const log = await makeLog(300, 1000);
    const line = `\u2014 w.example ${Buffer.alloc(76).toString('base64')}\n`;
    await log.addSignatures(log.checkpoint, [line]);
    await log.append(Array.from({ length: 50 }, (_, n) => Buffer.from(`{"seq":${300 + n}}`)));
    using served = await serve(log);
    expect((await served.call('verify', '--witnessed')).stdout).toContain('300 of 300 records verified');
    const folder = join(directory, 'export');
    expect((await served.call('export', folder, '--witnessed')).code).toBe(0);
    expect(await readFile(join(folder, 'checkpoint'), 'utf8')).toContain(line);
    const { stdout } = await served.call('status');
    expect(stdout).toContain('350 published');
    expect(stdout).toContain('w.example: 300 records at 2026-01-01T00:00:00Z, unreachable');
    expect(JSON.parse((await served.call('status', '--json')).stdout)).toMatchObject({ witnessedSize: 300 });
  });

  test('write a folder that is verified by the command and by its own program', async () => {
    using served = await serve(await makeLog(300, 1000));
    const folder = join(directory, 'export');
    const exported = await served.call('export', folder, '--format', 'cef');
    expect([exported.stderr, exported.code]).toEqual(['', 0]);
    expect((await readFile(join(folder, 'records.cef.log'), 'utf8')).trim().split('\n')).toHaveLength(300);
    expect(await readFile(join(folder, 'verify.mjs'), 'utf8')).not.toMatch(/interface |: string\)/);
    expect((await served.call('verify', folder)).stdout).toContain('300 of 300 records verified');
    expect((await served.call('verify')).stdout).toContain('300 of 300 records verified');
    expect((await served.call('export', folder)).code).not.toBe(0);
    const bundle = join(folder, 'tile/entries/000');
    const bytes = await readFile(bundle);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(bundle, bytes);
    const faulty = await served.call('verify', folder);
    expect(faulty.code).toBe(1);
    expect(faulty.stdout).toContain('changed: Record 0 was changed.');
  });

  test('leave out what was pruned and what was not asked for', async () => {
    const log = await makeLog(700, 1000);
    await log.prune(256);
    using served = await serve(log);
    const [all, part] = [join(directory, 'all'), join(directory, 'part')];
    await served.call('export', all);
    await served.call('export', part, '--from', '600');
    expect((await served.call('verify', all)).stdout).toContain('444 of 700 records verified, from 256 on');
    expect((await served.call('verify', part)).stdout).toContain('188 of 700 records verified, from 512 on');
  });
});
