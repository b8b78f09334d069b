import { createRouterTransport } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect, test } from 'vitest';
import { addBucketRecords, createBucketRecords } from './bucket-record-service.ts';
import type { BucketRecords } from './bucket-record-service.ts';

const across = (get: BucketRecords['get']): BucketRecords =>
  createBucketRecords(createRouterTransport((router) => addBucketRecords(router, { get }, silentLogger)));

test('what the control plane knows of a bucket arrives', async () => {
  const asked: unknown[] = [];
  const access = { name: 'data', url: 's3://bucket/ä', credentials: '{"accessKeyId":"ü"}', isReadOnly: true };
  const records = across((bucket) => {
    asked.push(bucket);
    return Promise.resolve(access);
  });
  expect(await records.get({ teamId: 't', bucketId: 'b' })).toEqual(access);
  expect(asked).toEqual([{ teamId: 't', bucketId: 'b' }]);
});

test('its errors arrive with their reasons, and an unexpected one without its text', async () => {
  const missing = across(() => Promise.reject(new SoulBoxError('bucket_not_found', 'It is gone.')));
  await expect(missing.get({ teamId: 't', bucketId: 'b' })).rejects.toMatchObject({
    ...{ reason: 'bucket_not_found', message: 'It is gone.' },
  });
  const broken = across(() => Promise.reject(new Error('/the/path of a secret')));
  const error: unknown = await broken.get({ teamId: 't', bucketId: 'b' }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: 'internal' });
  expect(String(error)).not.toContain('secret');
});
