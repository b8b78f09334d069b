import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Secret } from '@soulbox/base';
import type { Keyring } from '@soulbox/keyring';
import { createOutsidePolicy } from '@soulbox/network/outside';
import type { Delivery } from '@soulbox/storage';
import { sendDelivery } from './send.ts';
import type { SendOptions } from './send.ts';
import { createTargetPolicy } from './target.ts';

let cleanup: AsyncDisposableStack;
let port: number;
let received: number;
let status: number;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  received = 0;
  status = 204;
  const server = createServer((request, response) => {
    received += 1;
    response.writeHead(status, { location: `http://127.0.0.1:${port}/elsewhere` }).end();
    request.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.defer(() => void server.close());
  port = (server.address() as AddressInfo).port;
});
afterEach(() => cleanup.disposeAsync());

const stopping = new AbortController().signal;
const keyring: Keyring = {
  seal: () => Promise.reject(new Error('nothing is sealed here')),
  open: () => Promise.resolve(new Secret('a secret of some length')),
  [Symbol.dispose]: () => undefined,
};
const options = (allowed: readonly string[]): SendOptions => ({
  policy: createTargetPolicy(allowed, createOutsidePolicy()),
  keyring,
  stopping,
});

function deliveryTo(url: string): Delivery {
  return {
    ...{ id: 'd1', failures: 0 },
    webhook: {
      ...{ id: 'w1', teamId: 't1', name: 'mine', url, enabled: true, events: ['sandbox.lifecycle.killed'] },
      ...{ sealedSecret: 'sealed', createdAt: 0 },
    },
    event: {
      ...{ sequence: 1, id: 'e1', type: 'sandbox.lifecycle.killed', at: 0, cause: 'request', metadata: {} },
      ...{ teamId: 't1', sandboxId: 'i1', templateId: 'tbase', executionId: 'x1' },
      ...{ execution: undefined, snapshotId: undefined },
    },
  };
}

// A webhook may be older than the policy: it was created when its target was allowed, or restored from a backup.
it.each(['127.0.0.1', '[::ffff:127.0.0.1]', '2130706433', 'localhost'])(
  'a delivery to %s, which the policy no longer allows, is not sent',
  async (host) => {
    const sent = sendDelivery(deliveryTo(`http://${host}:${port}/hook`), options([]));
    await expect(sent).rejects.toThrow(/private, local or reserved/);
    expect(received).toBe(0);
  },
);

it('a delivery to an allowed target arrives', async () => {
  await sendDelivery(deliveryTo(`http://127.0.0.1:${port}/hook`), options(['127.0.0.1']));
  expect(received).toBe(1);
});

it.each([300, 302, 307, 404, 500])('a response of %i is a failure and is not followed', async (answer) => {
  status = answer;
  await expect(sendDelivery(deliveryTo(`http://127.0.0.1:${port}/hook`), options(['127.0.0.1']))).rejects.toThrow(
    `The receiver returned status ${answer}.`,
  );
  expect(received).toBe(1);
});
