import { startHostileProvider } from '@soulbox/api/hostile-provider';
import type { HostileProvider } from '@soulbox/api/hostile-provider';
import { findFreePort } from '@soulbox/testing';

/** The provider at which people sign in: it says what an attempt wants. */
export interface IdentityProvider extends AsyncDisposable {
  readonly provider: HostileProvider;
  /** What the server under attack must be started with. */
  readonly port: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** The group of the provider whose members belong to the attacker's team. */
export const makers = 'makers';

export async function openIdentityProvider(): Promise<IdentityProvider> {
  const provider = await startHostileProvider();
  const port = await findFreePort();
  return {
    provider,
    port,
    environment: {
      SOULBOX_API_URL: `http://127.0.0.1:${port}`,
      SOULBOX_OIDC_ISSUER: provider.issuer,
      SOULBOX_OIDC_CLIENT_ID: 'soulbox',
      SOULBOX_OIDC_CREATE_USERS: 'true',
      SOULBOX_OIDC_GROUP_ROLES: `${makers}=default:developer`,
    },
    [Symbol.asyncDispose]: async () => await provider[Symbol.asyncDispose](),
  };
}
