import { expect, test } from 'vitest';
import { startServer } from '../testing/start-server.ts';
import { buckets } from './buckets.ts';

const bucket = { bucketID: 'b1', name: 'data', url: 's3://bucket', hasCredentials: true, readOnly: false };

test('buckets have one call for each route', async () => {
  const seen: [string, unknown][] = [];
  await using server = await startServer(({ line, body }) => {
    const text = body.toString();
    seen.push([line, text === '' ? undefined : JSON.parse(text)]);
    return { status: 200, body: line.startsWith('GET /buckets?') ? [bucket] : bucket };
  });
  const options = { apiUrl: server.url, apiKey: 'key' };
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  const made = { name: 'data', url: 's3://bucket', credentials, readOnly: true };
  expect(await buckets.create(made, options)).toEqual(bucket);
  expect(await buckets.get('data', options)).toEqual(bucket);
  const listed: unknown[] = [];
  for await (const each of buckets.list({ ...options, limit: 5 })) listed.push(each);
  expect(listed).toEqual([bucket]);
  expect(await buckets.update('data', { credentials: null }, options)).toEqual(bucket);
  await buckets.check('data', options);
  expect(await buckets.delete('data', options)).toBe(true);
  expect(seen).toEqual([
    ['POST /buckets', made],
    ['GET /buckets/data', undefined],
    [expect.stringMatching(/^GET \/buckets\?limit=5/), undefined],
    ['PATCH /buckets/data', { credentials: null }],
    ['POST /buckets/data/check', undefined],
    ['DELETE /buckets/data', undefined],
  ]);
});

test('a bucket that does not exist is deleted as false, and one that is mounted is an error', async () => {
  let status = 404;
  await using server = await startServer(() => ({ status, body: { code: status, message: 'No.' } }));
  const options = { apiUrl: server.url, apiKey: 'key', retries: 0 };
  expect(await buckets.delete('data', options)).toBe(false);
  await expect(buckets.get('data', options)).rejects.toMatchObject({ status: 404 });
  status = 409;
  await expect(buckets.delete('data', options)).rejects.toMatchObject({ status: 409 });
  await expect(buckets.check('..', options)).rejects.toThrow('not a valid id or name');
});
