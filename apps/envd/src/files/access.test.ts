import { fileSignature } from '@soulbox/contract';
import { describe, expect, test } from 'vitest';
import { createFileCalls } from '../testing/file-calls.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();

const { upload, download, shell } = createFileCalls(envd);

describe('planted links', () => {
  test('are followed only within the sandbox, and loops are an error', async () => {
    await shell(
      'ln -sf /proc/self/root/etc/passwd /tmp/l1; ln -sf loop2 /tmp/loop1; ln -sf loop1 /tmp/loop2; ln -sf /proc/nowhere/x /tmp/dangling',
    );
    expect(await (await download('/tmp/l1')).text()).toContain('user:x:1000');
    expect((await download('/tmp/loop1')).status).toBe(409);
    expect((await upload('/tmp/loop1', 'x')).status).toBe(409);
    expect((await download('/tmp/dangling')).status).toBe(404);
    expect((await upload('/tmp/dangling', 'x')).status).toBe(404);
  });
});

describe('access', () => {
  const token = 'the-token';

  test('a token, or a signature of the exact request, is required once a token is set', async () => {
    await upload('signed', 'secret');
    await envd().init({ accessToken: token });
    const signature = fileSignature({ path: 'signed', operation: 'read', username: '', expiration: undefined }, token);
    expect((await download('signed')).status).toBe(401);
    expect((await download('signed', { 'x-access-token': 'wrong' }, { signature })).status).toBe(401);
    expect((await download('signed', { 'x-access-token': token })).status).toBe(200);
    expect((await download('signed', {}, { signature })).status).toBe(200);
    expect((await download('other', {}, { signature })).status).toBe(401);
    expect((await upload('signed', 'x', {}, { signature })).status).toBe(401);
    expect((await download('signed', {}, { signature, signature_expiration: '99999999999' })).status).toBe(401);
  });
});
