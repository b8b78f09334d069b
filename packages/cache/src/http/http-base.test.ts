import { expect, test } from 'vitest';
import { parseHttpBase, rewriteSignedUrl } from './http-base.ts';

const signed = 'https://bucket.s3.example/p/servers/x/data/a%20b?X-Amz-Signature=1&X-Amz-Date=2';

test('a signed URL keeps its path and signature, below the base', () => {
  const base = parseHttpBase('https://cdn.example:8443/store/');
  expect(rewriteSignedUrl(signed, base)).toBe(
    'https://cdn.example:8443/store/p/servers/x/data/a%20b?X-Amz-Signature=1&X-Amz-Date=2',
  );
  expect(rewriteSignedUrl(signed, parseHttpBase('http://127.0.0.1:80'))).toMatch(/^http:\/\/127\.0\.0\.1\/p\/servers/);
});

test.each([
  'cdn.example',
  'ftp://cdn.example',
  'http://cdn.example',
  'https://user:password@cdn.example',
  'https://cdn.example/?token=x',
  'https://cdn.example/#x',
])('%s is refused', (text) => {
  expect(() => parseHttpBase(text)).toThrow(expect.objectContaining({ reason: 'config_invalid' }) as Error);
});
