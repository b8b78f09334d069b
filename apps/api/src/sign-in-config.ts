import { flag, key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';
import { roles } from '@soulbox/contract';
import type { Role } from '@soulbox/contract';
import { z } from 'zod';

/** Members of a group of the provider have a role in a team. */
export interface GroupRole {
  readonly group: string;
  /** Name or id. */
  readonly team: string;
  readonly role: Role;
}

/** A claim that a person must have: this value, or a list with it. */
export interface RequiredClaim {
  readonly claim: string;
  readonly value: string;
}

const entriesMax = 100;
const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

const domains: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => listOf(text.toLowerCase()))
  .pipe(z.array(z.string().regex(/^(?:[a-z0-9-]+\.)+[a-z0-9-]+$/, 'must be domains')).max(entriesMax));

const groupForm = new RegExp(`^(?<group>[^=]{1,200})=(?<team>[A-Za-z0-9_-]{1,64}):(?<role>${roles.join('|')})$`);
const groupRoles: z.ZodType<readonly GroupRole[]> = z
  .string()
  .transform(listOf)
  .pipe(z.array(z.string().regex(groupForm, `must be GROUP=TEAM:ROLE, with a role of ${roles.join(', ')}`)))
  .pipe(
    z.array(z.string().transform((entry) => groupForm.exec(entry)?.groups as unknown as GroupRole)).max(entriesMax),
  );

const claimForm = /^(?<claim>[A-Za-z0-9_:./-]{1,200})=(?<value>.{1,200})$/;
const requiredClaims: z.ZodType<readonly RequiredClaim[]> = z
  .string()
  .transform(listOf)
  .pipe(z.array(z.string().regex(claimForm, 'must be CLAIM=VALUE')))
  .pipe(
    z.array(z.string().transform((entry) => claimForm.exec(entry)?.groups as unknown as RequiredClaim)).max(entriesMax),
  );

/** The settings of sign-in for people. */
export const signInConfigSchema = {
  oidcIssuer: key(
    'SOULBOX_OIDC_ISSUER',
    z.url({ protocol: /^https?$/, error: 'must be an https URL' }),
    '',
    'Issuer of the OpenID Connect provider at which people sign in (docs/sign-in.md). It may have a private address. Empty: nobody can sign in.',
  ),
  oidcClientId: key('SOULBOX_OIDC_CLIENT_ID', z.string().max(500), '', 'Id of this server at the provider.'),
  oidcClientSecretFile: key(
    'SOULBOX_OIDC_CLIENT_SECRET_FILE',
    z.string().startsWith('/', 'must be an absolute path'),
    '',
    'File with the secret of this server at the provider; only its owner may read it. Empty: a public client, with PKCE alone.',
  ),
  oidcScopes: key(
    'SOULBOX_OIDC_SCOPES',
    z.string().regex(/^openid(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/, 'must begin with openid, separated by spaces'),
    'openid email profile',
    'Scopes that are requested from the provider, separated by spaces.',
  ),
  oidcEmailDomains: key(
    'SOULBOX_OIDC_EMAIL_DOMAINS',
    domains,
    [],
    'Domains of the verified email addresses of people who may sign in, separated by commas. Empty: any.',
  ),
  oidcTrustEmail: key(
    'SOULBOX_OIDC_TRUST_EMAIL',
    flag,
    false,
    'Whether an address counts as verified if the provider does not say so. Only for a provider at which people cannot choose their addresses.',
  ),
  oidcRequiredClaims: key(
    'SOULBOX_OIDC_REQUIRED_CLAIMS',
    requiredClaims,
    [],
    '`CLAIM=VALUE`, separated by commas: who may sign in has all of them. A claim that is a list must contain the value.',
  ),
  oidcGroupsClaim: key(
    'SOULBOX_OIDC_GROUPS_CLAIM',
    z.string().max(200),
    'groups',
    'Claim with the groups of a person.',
  ),
  oidcGroupRoles: key(
    'SOULBOX_OIDC_GROUP_ROLES',
    groupRoles,
    [],
    '`GROUP=TEAM:ROLE`, separated by commas: memberships by groups, which each sign-in replaces. Roles are `admin`, `developer` and `viewer`.',
  ),
  oidcCreateUsers: key(
    'SOULBOX_OIDC_CREATE_USERS',
    flag,
    false,
    'Whether the first sign-in of an admitted person creates a user. `false`: only those whom `soulbox user add` has added can sign in.',
  ),
  sessionHours: key(
    'SOULBOX_SESSION_HOURS',
    wholeNumber(1, 24 * 30),
    12,
    'Hours after a sign-in at which the session of a browser ends.',
  ),
  sessionIdleMinutes: key(
    'SOULBOX_SESSION_IDLE_MINUTES',
    wholeNumber(5, 60 * 24 * 30),
    120,
    'Minutes without a request after which the session of a browser ends.',
  ),
} as const;

export type SignInConfig = ConfigOf<typeof signInConfigSchema>;

/** Contradictions of the settings, for the error at the start. */
export function findSignInFaults(config: SignInConfig & { readonly apiUrl: string }): string[] {
  const { oidcIssuer, oidcClientId, oidcClientSecretFile, apiUrl } = config;
  if (oidcIssuer === '') {
    const isUseless = oidcClientId !== '' || oidcClientSecretFile !== '';
    return isUseless ? ['SOULBOX_OIDC_CLIENT_ID, SOULBOX_OIDC_CLIENT_SECRET_FILE: need SOULBOX_OIDC_ISSUER'] : [];
  }
  const faults = [];
  if (oidcClientId === '') faults.push('SOULBOX_OIDC_ISSUER: needs SOULBOX_OIDC_CLIENT_ID');
  if (!isProtected(oidcIssuer)) faults.push('SOULBOX_OIDC_ISSUER: must be https, or http on this host');
  if (apiUrl === '')
    faults.push('SOULBOX_OIDC_ISSUER: needs SOULBOX_API_URL, the address to which the provider sends browsers back');
  else if (!isProtected(apiUrl)) faults.push('SOULBOX_API_URL: must be https, or http on this host, for sign-in');
  else if (new URL(apiUrl).pathname !== '/') faults.push('SOULBOX_API_URL: must not have a path, for sign-in');
  return faults;
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether nobody on the way can read what is sent to this URL. */
export function isProtected(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || loopback.test(hostname);
}
