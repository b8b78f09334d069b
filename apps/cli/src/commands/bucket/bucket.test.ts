import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runInProcess } from '../../testing/run-in-process.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

const bucket = {
  ...{ bucketID: 'b1', name: 'data', url: 's3://bucket', hasCredentials: true, readOnly: false },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-02T00:00:00.000Z' },
};
const canary = 'canary-credential';
const credentials = { accessKeyId: 'a', secretAccessKey: canary };

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-bucket-'));
  file = join(folder, 'credentials');
  await writeFile(file, JSON.stringify(credentials));
  await writeFile(join(folder, 'text'), canary);
  await writeFile(join(folder, 'list'), `["${canary}"]`);
  await writeFile(join(folder, 'large'), JSON.stringify({ a: canary.repeat(4096) }));
});
afterAll(async () => {
  await removeTree(folder);
});

test('a bucket is made with the credentials of a file, or without any', async () => {
  await using api = await startScriptedApi([
    { status: 201, body: bucket },
    { status: 201, body: bucket },
  ]);
  const made = await runInProcess(
    ['bucket', 'create', 'data', 's3://bucket', '--credentials-file', file, '--read-only'],
    api.environment,
  );
  expect([made.code, made.stdout]).toEqual([0, 'b1\n']);
  const json = await runInProcess(['bucket', 'create', 'data', 'gs://public', '--json'], api.environment);
  expect(JSON.parse(json.stdout)).toEqual(bucket);
  expect(api.seen).toMatchObject([
    { line: 'POST /buckets', body: { name: 'data', url: 's3://bucket', credentials, readOnly: true } },
    { line: 'POST /buckets', body: { name: 'data', url: 'gs://public' } },
  ]);
  expect(api.seen[1]?.body).not.toHaveProperty('credentials');
});

test('credentials are replaced or removed, and writes forbidden or allowed', async () => {
  await using api = await startScriptedApi(Array.from({ length: 4 }, () => ({ status: 200, body: bucket })));
  for (const flags of [['--credentials-file', file], ['--public'], ['--read-only'], ['--read-write']]) {
    const updated = await runInProcess(['bucket', 'update', 'a b', ...flags], api.environment);
    expect([updated.code, updated.stdout]).toEqual([0, 'Updated data.\n']);
  }
  const line = 'PATCH /buckets/a%20b';
  expect(api.seen.map(({ line: seen, body }) => [seen, body])).toEqual([
    [line, { credentials }],
    [line, { credentials: null }],
    [line, { readOnly: true }],
    [line, { readOnly: false }],
  ]);
});

test('buckets are listed, shown, checked and deleted', async () => {
  await using api = await startScriptedApi([
    { status: 200, body: [bucket, { ...bucket, bucketID: 'b2', hasCredentials: false, readOnly: true }] },
    { status: 200, body: bucket },
    { status: 204 },
    { status: 403, body: { code: 403, message: 'The store refuses the credentials.' } },
    { status: 204 },
  ]);
  const list = await runInProcess(['bucket', 'list'], api.environment);
  expect(list.stdout).toMatch(/b1 +data +s3:\/\/bucket +yes +read-write.*\nb2 .* none +read-only/);
  expect((await runInProcess(['bucket', 'get', 'data'], api.environment)).stdout).toContain('s3://bucket');
  expect((await runInProcess(['bucket', 'check', 'data'], api.environment)).stdout).toBe('data can be read.\n');
  const failed = await runInProcess(['bucket', 'check', 'data'], api.environment);
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toContain('refuses the credentials');
  expect((await runInProcess(['bucket', 'delete', 'data'], api.environment)).code).toBe(0);
  expect(api.seen.map(({ line }) => line)).toEqual(
    [
      ...['GET /buckets', 'GET /buckets/data', 'POST /buckets/data/check', 'POST /buckets/data/check'],
      'DELETE /buckets/data',
    ].map((line) => (line === 'GET /buckets' ? (expect.stringMatching(/^GET \/buckets/) as string) : line)),
  );
});

test.each<[readonly string[], RegExp]>([
  [['update', 'data'], /Give --credentials-file/],
  [['update', 'data', '--public', '--credentials-file', 'credentials'], /either --credentials-file or --public/],
  [['update', 'data', '--read-only', '--read-write'], /either --read-only or --read-write/],
  [['update', 'data', '--credentials-file', 'text'], /text is not a JSON object/],
  [['update', 'data', '--credentials-file', 'list'], /list is not a JSON object/],
  [['update', 'data', '--credentials-file', 'large'], /larger than 64 KiB/],
  [['create', 'data', 's3://x', '--credentials-file', 'none'], /none cannot be read/],
  [['create', 'data', 's3://x', '--credentials-file', '/dev/zero'], /larger than 64 KiB/],
])('bucket %j is refused before anything is sent, and shows no credentials', async (args, message) => {
  const paths = args.map((word, at) => (args[at - 1] === '--credentials-file' ? join(folder, word) : word));
  const given = args.includes('/dev/zero') ? args : paths;
  const result = await runInProcess(['bucket', ...given], { E2B_API_URL: 'http://127.0.0.1:1' });
  expect(result).toMatchObject({ code: 2, stdout: '' });
  expect(result.stderr).toMatch(message);
  expect(result.stderr).not.toContain(canary);
});
