import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Secret } from '@soulbox/base';
import { createOutsidePolicy } from '@soulbox/network/outside';
import type { Delivery } from '@soulbox/storage';
import { sendDelivery } from './send.ts';
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

function deliveryTo(url: string): Delivery {
  return {
    ...{ id: 'd1', failures: 0 },
    webhook: {
      ...{ id: 'w1', teamId: 't1', name: 'mine', url, enabled: true, events: ['sandbox.lifecycle.killed'] },
      ...{ signatureSecret: new Secret('a secret of some length'), createdAt: 0 },
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
    const sent = sendDelivery(
      deliveryTo(`http://${host}:${port}/hook`),
      createTargetPolicy([], createOutsidePolicy()),
      stopping,
    );
    await expect(sent).rejects.toThrow(/private, local or reserved/);
    expect(received).toBe(0);
  },
);

it('a delivery to an allowed target arrives', async () => {
  await sendDelivery(
    deliveryTo(`http://127.0.0.1:${port}/hook`),
    createTargetPolicy(['127.0.0.1'], createOutsidePolicy()),
    stopping,
  );
  expect(received).toBe(1);
});

it.each([300, 302, 307, 404, 500])('a response of %i is a failure and is not followed', async (answer) => {
  status = answer;
  const policy = createTargetPolicy(['127.0.0.1'], createOutsidePolicy());
  await expect(sendDelivery(deliveryTo(`http://127.0.0.1:${port}/hook`), policy, stopping)).rejects.toThrow(
    `The receiver returned status ${answer}.`,
  );
  expect(received).toBe(1);
});
