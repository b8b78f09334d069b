import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { PeopleSecrets } from './people-secrets.ts';
import type { SignInSecrets } from './provider.ts';

/** A sign-in that a browser has started. Its cookie is all that is known of it, so starts need no memory here. */
export interface PendingSignIn extends SignInSecrets {
  readonly returnTo: string;
}

/** How long a person may take at the provider. */
export const pendingSeconds = 600;

const pendingSchema = z.object({ seed: z.string(), returnTo: z.string(), until: z.number() });

/** `cookie`: the value for the browser. */
export function startPending(
  secrets: PeopleSecrets,
  returnTo: string,
  now: number,
): { readonly cookie: string; readonly pending: PendingSignIn } {
  const seed = randomBytes(32).toString('base64url');
  const cookie = secrets.seal(JSON.stringify({ seed, returnTo, until: now + pendingSeconds * 1000 }));
  return { cookie, pending: pendingOf(secrets, seed, returnTo) };
}

/** Undefined for a cookie that is not ours or too old. */
export function openPending(secrets: PeopleSecrets, cookie: string, now: number): PendingSignIn | undefined {
  const text = secrets.open(cookie);
  if (text === undefined) return undefined;
  const { seed, returnTo, until } = pendingSchema.parse(JSON.parse(text));
  return until > now ? pendingOf(secrets, seed, returnTo) : undefined;
}

function pendingOf(secrets: PeopleSecrets, seed: string, returnTo: string): PendingSignIn {
  const derive = (purpose: string): string => secrets.derive(purpose, seed);
  return {
    ...{ state: derive('state'), nonce: derive('nonce'), codeVerifier: derive('verifier') },
    returnTo,
  };
}
