import { describe, expect, it } from 'vitest';
import { createFileSigner, fileSignature, isFileSignature } from './file-signature.ts';

const request = { path: 'hello.txt', operation: 'read', username: 'user', expiration: undefined } as const;
const token = '0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0';

describe('the v1 signature of a file URL', () => {
  it('equals the one that the official clients compute', () => {
    expect(fileSignature(request, token)).toBe('v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E');
  });

  it('is the same when one request is signed with many tokens', () => {
    const sign = createFileSigner({ ...request, expiration: '17' });
    for (const one of [token, '', 'other'])
      expect(sign(one)).toBe(fileSignature({ ...request, expiration: '17' }, one));
    expect(new Set([sign('a'), sign('b'), sign('a')]).size).toBe(2);
  });

  it('is told apart from other texts', () => {
    const signature = fileSignature(request, token);
    expect(isFileSignature(signature)).toBe(true);
    for (const text of [
      '',
      ` ${signature}`,
      `${signature}\n`,
      'v1_',
      `v2_${'a'.repeat(43)}`,
      `v1_${'a'.repeat(44)}`,
      `v1_${'a'.repeat(42)}=`,
    ])
      expect(isFileSignature(text)).toBe(false);
  });

  it('changes with every part of the request', () => {
    const others = [
      fileSignature({ ...request, path: 'hello.tx' }, token),
      fileSignature({ ...request, operation: 'write' }, token),
      fileSignature({ ...request, username: '' }, token),
      fileSignature({ ...request, expiration: '1' }, token),
      fileSignature({ ...request, expiration: '10' }, token),
      fileSignature(request, `${token}x`),
    ];
    expect(new Set([...others, fileSignature(request, token)]).size).toBe(7);
  });
});
