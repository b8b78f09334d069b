import { describe, expect, it } from 'vitest';
import { loadConfig } from '@soulbox/base/config';
import { findSignInFaults, signInConfigSchema } from './sign-in-config.ts';

const load = (environment: Readonly<Record<string, string>>) => loadConfig(signInConfigSchema, environment);
const right = {
  SOULBOX_OIDC_ISSUER: 'https://sso.example.com/realms/main',
  SOULBOX_OIDC_CLIENT_ID: 'soulbox',
};
const faultsOf = (environment: Readonly<Record<string, string>>, apiUrl = 'https://api.example.com') =>
  findSignInFaults({ ...load(environment), apiUrl }).join('\n');

describe('the settings of sign-in', () => {
  it('are off by default, and valid with an issuer, a client and an address', () => {
    expect(load({}).oidcIssuer).toBe('');
    expect([faultsOf({}, ''), faultsOf(right)]).toEqual(['', '']);
    expect(faultsOf({ ...right, SOULBOX_OIDC_ISSUER: 'http://127.0.0.1:8080' }, 'http://localhost:3000')).toBe('');
  });

  it('map groups with spaces and colons to roles in teams', () => {
    const { oidcGroupRoles, oidcRequiredClaims, oidcEmailDomains } = load({
      SOULBOX_OIDC_GROUP_ROLES: 'Platform Team=blue:admin, urn:x:y=red:viewer,',
      SOULBOX_OIDC_REQUIRED_CLAIMS: 'tier=gold,https://x/claim=a=b',
      SOULBOX_OIDC_EMAIL_DOMAINS: 'Example.com, example.org',
    });
    expect(oidcGroupRoles.map((entry) => ({ ...entry }))).toEqual([
      { group: 'Platform Team', team: 'blue', role: 'admin' },
      { group: 'urn:x:y', team: 'red', role: 'viewer' },
    ]);
    expect(oidcRequiredClaims.map((entry) => ({ ...entry }))).toEqual([
      { claim: 'tier', value: 'gold' },
      { claim: 'https://x/claim', value: 'a=b' },
    ]);
    expect(oidcEmailDomains).toEqual(['example.com', 'example.org']);
  });

  it.each([
    ['SOULBOX_OIDC_ISSUER', 'sso.example.com'],
    ['SOULBOX_OIDC_ISSUER', 'ftp://sso.example.com'],
    ['SOULBOX_OIDC_CLIENT_SECRET_FILE', 'relative'],
    ['SOULBOX_OIDC_SCOPES', 'email openid'],
    ['SOULBOX_OIDC_SCOPES', 'openid "x"'],
    ['SOULBOX_OIDC_EMAIL_DOMAINS', 'ada@example.com'],
    ['SOULBOX_OIDC_EMAIL_DOMAINS', 'com'],
    ['SOULBOX_OIDC_GROUP_ROLES', 'makers=blue'],
    ['SOULBOX_OIDC_GROUP_ROLES', 'makers=blue:owner'],
    ['SOULBOX_OIDC_GROUP_ROLES', '=blue:admin'],
    ['SOULBOX_OIDC_REQUIRED_CLAIMS', 'tier'],
    ['SOULBOX_OIDC_CREATE_USERS', 'yes'],
    ['SOULBOX_SESSION_HOURS', '0'],
    ['SOULBOX_SESSION_IDLE_MINUTES', '1'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => load({ [name]: value })).toThrow(name);
  });

  it.each([
    ['without a client', { SOULBOX_OIDC_ISSUER: right.SOULBOX_OIDC_ISSUER }, 'https://x', 'SOULBOX_OIDC_CLIENT_ID'],
    ['with a client alone', { SOULBOX_OIDC_CLIENT_ID: 'x' }, 'https://x', 'need SOULBOX_OIDC_ISSUER'],
    ['without the address of the API', right, '', 'needs SOULBOX_API_URL'],
    ['with a plain address of the API', right, 'http://api.example.com', 'must be https'],
    ['with a path in the address of the API', right, 'https://example.com/api', 'must not have a path'],
    ['with a plain issuer', { ...right, SOULBOX_OIDC_ISSUER: 'http://10.0.0.1' }, 'https://x', 'must be https'],
    [
      'with an issuer that looks local',
      { ...right, SOULBOX_OIDC_ISSUER: 'http://localhost.evil.example' },
      'https://x',
      'must be https',
    ],
  ])('are contradictory %s', (_what, environment, apiUrl, told) => {
    expect(faultsOf(environment as Record<string, string>, apiUrl)).toContain(told);
  });
});
