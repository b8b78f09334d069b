import { SoulBoxError } from '@soulbox/base';
import type { SignInConfig } from '../sign-in-config.ts';

/** What the provider says about a person, in our form. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
  /** In lower case. Empty if there is no verified address. */
  readonly email: string;
  readonly name: string;
  readonly groups: readonly string[];
  /** The name of the session at the provider. Empty if it tells none. */
  readonly providerSid: string;
  /** When the provider made the ID token. Unix seconds. */
  readonly issuedAt: number;
}

type Claims = Readonly<Record<string, unknown>>;

/** Longer subjects are not valid (OpenID Connect Core 1.0, section 2). */
const subjectForm = /^[\x20-\x7e]{1,255}$/;
const emailForm = /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,189}$/u;
const nameMax = 100;
const groupsMax = 1000;

/** Throws `sign_in_failed` for a subject that cannot be. */
export function identityFrom(issuer: string, claims: Claims, config: SignInConfig): Identity {
  const { sub, name } = claims;
  if (typeof sub !== 'string' || !subjectForm.test(sub))
    throw new SoulBoxError('sign_in_failed', 'The identity provider sent no valid subject.');
  return {
    ...{ issuer, subject: sub, email: verifiedEmail(claims, config) },
    name: typeof name === 'string' ? shown(name) : '',
    groups: listOf(claims[config.oidcGroupsClaim]),
    providerSid: typeof claims['sid'] === 'string' && subjectForm.test(claims['sid']) ? claims['sid'] : '',
    issuedAt: Number(claims['iat']),
  };
}

/** Throws `sign_in_refused` for a person whom this server does not admit, whether known or not. */
export function checkAdmitted({ email }: Identity, claims: Claims, config: SignInConfig): void {
  const { oidcEmailDomains: domains, oidcRequiredClaims: required } = config;
  if (domains.length > 0 && !domains.includes(email.slice(email.lastIndexOf('@') + 1)))
    throw new SoulBoxError('sign_in_refused', 'People with this address cannot sign in here.');
  for (const { claim, value } of required)
    if (!listOf(claims[claim]).includes(value))
      throw new SoulBoxError('sign_in_refused', `People without the claim "${claim}" cannot sign in here.`);
}

function verifiedEmail({ email, email_verified: verified }: Claims, { oidcTrustEmail }: SignInConfig): string {
  const isVerified = verified === true || (verified === undefined && oidcTrustEmail);
  return isVerified && typeof email === 'string' && emailForm.test(email) ? email.toLowerCase() : '';
}

/** The texts of a claim that is a text or a list. */
function listOf(value: unknown): string[] {
  const values: unknown[] = Array.isArray(value) ? value.slice(0, groupsMax) : [value];
  return values.filter((entry) => typeof entry === 'string');
}

function shown(text: string): string {
  return text
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ')
    .trim()
    .slice(0, nameMax);
}
