import { expect, test } from 'vitest';
import { parseStorageUrl } from './storage-url.ts';

const account = '0123456789abcdef0123456789abcdef';

test.each([
  ['file:///var/lib/store', { kind: 'file', path: '/var/lib/store', prefix: '' }],
  ['file:///var/lib/a%20b/', { kind: 'file', path: '/var/lib/a b' }],
  [
    's3://bucket',
    { kind: 's3', bucket: 'bucket', prefix: '', region: undefined, endpoint: undefined, usesPaths: false },
  ],
  ['s3://my.bucket-1/a/b/?region=eu-west-1', { bucket: 'my.bucket-1', prefix: 'a/b/', region: 'eu-west-1' }],
  ['s3://bucket/a%20%C3%BC', { prefix: 'a ü/' }],
  ['s3://bucket?endpoint=https://store.example', { endpoint: 'https://store.example/', usesPaths: true }],
  ['s3://bucket?endpoint=https://store.example&path-style=false', { usesPaths: false }],
  ['s3://bucket?endpoint=http://127.0.0.1:9000', { endpoint: 'http://127.0.0.1:9000/' }],
  ['s3://bucket?endpoint=http://store.example&insecure=true', { endpoint: 'http://store.example/' }],
  [`r2://bucket/p?account=${account}`, { region: 'auto', endpoint: `https://${account}.r2.cloudflarestorage.com` }],
  [`r2://bucket?account=${account}&jurisdiction=eu`, { endpoint: `https://${account}.eu.r2.cloudflarestorage.com` }],
  ['gs://my_bucket/a', { kind: 'gcs', bucket: 'my_bucket', prefix: 'a/', endpoint: undefined }],
  [
    'azblob://container/a?account=name1',
    { kind: 'azure', container: 'container', account: 'name1', endpoint: 'https://name1.blob.core.windows.net' },
  ],
])('%s', (url, expected) => {
  expect(parseStorageUrl(url)).toMatchObject({ url, ...expected });
});

test.each([
  ['', /one of the forms/],
  ['/var/lib/store', /one of the forms/],
  [`s3://bucket/${'a'.repeat(2100)}`, /one of the forms/],
  ['http://bucket', /scheme/],
  ['file://host/x', /file:\/\/\/FOLDER/],
  ['file:///', /file:\/\/\/FOLDER/],
  ['file:///a%00b', /file:\/\/\/FOLDER/],
  ['file:///a?region=x', /parameter "region"/],
  ['s3:///prefix', /bucket/],
  ['s3://Bucket', /bucket/],
  ['s3://127.0.0.1', /bucket/],
  ['s3://bucket:80', /bucket/],
  ['s3://bucket/a//b', /object key/],
  ['s3://bucket/%ff', /escape/],
  ['s3://bucket#x', /fragment/],
  ['s3://bucket?region=', /one value/],
  ['s3://bucket?region=a&region=b', /one value/],
  ['s3://bucket?path-style=yes', /true or false/],
  ['s3://bucket?endpoint=ftp://x', /endpoint/],
  ['s3://bucket?endpoint=http://store.example', /insecure/],
  ['s3://bucket?endpoint=https://u:hidden@store.example', /endpoint/],
  ['s3://key:hidden@bucket', /credentials/],
  ['s3://bucket?accessKeyId=hidden', /SOULBOX_STORAGE_CREDENTIALS_FILE/],
  ['s3://bucket?X-Amz-Signature=hidden', /SOULBOX_STORAGE_CREDENTIALS_FILE/],
  ['r2://bucket', /account=/],
  ['azblob://container', /account=/],
  ['azblob://container?account=no.host', /account=/],
  ['azblob://container?account=name&sig=hidden', /SOULBOX_STORAGE_CREDENTIALS_FILE/],
  ['gs://bucket?key=hidden', /SOULBOX_STORAGE_CREDENTIALS_FILE/],
  ['r2://bucket?account=abc', /account=/],
  [`r2://bucket?account=${account}&jurisdiction=x`, /jurisdiction/],
])('refuses %s', (url, message) => {
  let thrown: unknown;
  try {
    parseStorageUrl(url);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ message: expect.stringMatching(message) as string });
  expect((thrown as Error).message).not.toContain('hidden');
});
