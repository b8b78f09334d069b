import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { boundInterimAnswers } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import type { Keyring } from '@soulbox/keyring';
import type { Delivery } from '@soulbox/storage';
import { eventToWire } from '../events/to-wire.ts';
import { placeOfWebhookSecret } from './schemas.ts';
import type { TargetPolicy } from './target.ts';

/** From the DNS lookup to the status line. Milliseconds. */
const timeoutMs = 10_000;

/** E2B's signature: base64url without padding of SHA-256(secret + body). */
export function signatureOf(body: string, secret: Secret): string {
  return createHash('sha256').update(secret.reveal()).update(body).digest('base64url');
}

export interface SendOptions {
  readonly policy: TargetPolicy;
  /** Opens the secret of the webhook. */
  readonly keyring: Keyring;
  readonly stopping: AbortSignal;
}

/**
 * Posts one delivery. Resolves when the receiver accepted it (any 2xx); rejects with a reason that may be logged. A
 * redirect is a failure like any other status. Only the status of the response is read.
 */
export async function sendDelivery(delivery: Delivery, { policy, keyring, stopping }: SendOptions): Promise<void> {
  const { webhook, id, event } = delivery;
  const body = JSON.stringify(eventToWire(event));
  const url = new URL(webhook.url);
  // Checked again, because the policy may be stricter than at the creation. `lookup` is not called for a literal
  // address.
  policy.checkHost(url.hostname);
  const status = await post(url, body, {
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'soulbox-webhooks',
      'e2b-webhook-id': webhook.id,
      'e2b-delivery-id': id,
      'e2b-signature-version': 'v1',
      'e2b-signature': signatureOf(body, await keyring.open(webhook.sealedSecret, placeOfWebhookSecret(webhook))),
    },
    lookup: policy.lookup,
    signal: AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]),
  });
  if (status < 200 || status > 299) throw new Error(`The receiver returned status ${status}.`);
}

function post(url: URL, body: string, options: RequestOptions): Promise<number> {
  boundInterimAnswers();
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    // No agent, so that a connection that was checked for one delivery is not reused for another.
    const request = send(url, { ...options, method: 'POST', agent: false }, (answer) => {
      resolve(answer.statusCode ?? 0);
      answer.destroy();
    });
    request.on('error', reject);
    request.end(body);
  });
}
