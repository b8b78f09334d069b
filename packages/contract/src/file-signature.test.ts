import { describe, expect, it } from 'vitest';
import { fileSignature } from './file-signature.ts';

const request = { path: 'hello.txt', operation: 'read', username: 'user', expiration: undefined } as const;
const token = '0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0';

describe('the v1 signature of a file URL', () => {
  it('is what the official clients compute', () => {
    expect(fileSignature(request, token)).toBe('v1_gUtH/s9YCJWgCizjfUxuWfhFE4QSydOWEIIvfLwDr6E');
  });

  it('changes with every part', () => {
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
