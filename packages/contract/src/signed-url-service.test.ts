import { createRouterTransport } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect, test } from 'vitest';
import { addSignedUrlCheck, createSignedUrlChecker } from './signed-url-service.ts';
import type { SignedUrlCheck, SignedUrlChecker } from './signed-url-service.ts';

const across = (
  check: SignedUrlChecker['check'],
  findEnded: SignedUrlChecker['findEnded'] = () => Promise.resolve([]),
): SignedUrlChecker =>
  createSignedUrlChecker(
    createRouterTransport((router) => addSignedUrlCheck(router, { check, findEnded }, silentLogger)),
  );

const request: SignedUrlCheck = {
  ...{ method: 'GET', authority: 'a:1', target: '/x?y', isSharedHost: true, isPreflight: false },
  destination: { kind: 'sandbox', sandboxId: 'i1', port: 8080 },
  facts: {
    ...{ address: '::1', contentTypes: ['a/b', 'c/d'], contentEncodings: ['gzip'], isUpgrade: true },
    announcedBytes: 5_000_000_000,
  },
};

test.each<SignedUrlCheck>([
  request,
  { ...request, isSharedHost: false, isPreflight: true, destination: { kind: 'function', name: 'shop' } },
  { ...request, facts: { ...request.facts, announcedBytes: undefined, contentTypes: [], isUpgrade: false } },
  { ...request, facts: { ...request.facts, announcedBytes: 0 } },
])('a check arrives as it was sent (%#)', async (sent) => {
  let got: SignedUrlCheck | undefined;
  await across((received) => {
    got = received;
    return Promise.resolve();
  }).check(sent);
  expect(got).toEqual(sent);
});

test.each(['unauthorized', 'signed_url_used', 'body_too_large', 'limit_exceeded'] as const)(
  'the error %s arrives with its reason',
  async (reason) => {
    const failing = across(() => Promise.reject(new SoulBoxError(reason, 'why')));
    await expect(failing.check(request)).rejects.toMatchObject({ reason, message: 'why' });
  },
);

test('an unexpected error does not show its message', async () => {
  const failing = across(() => Promise.reject(new Error('/var/lib/secret')));
  await expect(failing.check(request)).rejects.toMatchObject({ reason: 'internal' });
  await expect(failing.check(request)).rejects.not.toThrow(/secret/);
});

test('a control plane that is away is reported as such, and allows nothing', async () => {
  const away = createSignedUrlChecker(createRouterTransport(() => undefined));
  await expect(away.check(request)).rejects.toThrow();
});

test('signers that have ended are found, however many are asked about', async () => {
  const signers = Array.from({ length: 2500 }, (_, n) => ({ keyId: `s${n}`, signerId: `a${n}` }));
  const sizes: number[] = [];
  const checker = across(
    () => Promise.resolve(),
    (asked) => {
      sizes.push(asked.length);
      return Promise.resolve(asked.filter(({ keyId }) => keyId.endsWith('99')));
    },
  );
  const ended = await checker.findEnded(signers);
  expect(sizes).toEqual([1000, 1000, 500]);
  expect([ended.length, ended[0]]).toEqual([25, { keyId: 's99', signerId: 'a99' }]);
});
