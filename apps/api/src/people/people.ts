import type { Clock, Logger, Secret } from '@soulbox/base';
import type { ApiConfig } from '../config.ts';
import { createAttempts } from './attempts.ts';
import type { Attempts } from './attempts.ts';
import { createDeviceRequests } from './device-requests.ts';
import type { DeviceRequests } from './device-requests.ts';
import { createEndedSignIns } from './ended-sign-ins.ts';
import type { EndedSignIns } from './ended-sign-ins.ts';
import { createLogoutTokens } from './logout-tokens.ts';
import type { LogoutTokens } from './logout-tokens.ts';
import { createPeopleSecrets } from './people-secrets.ts';
import type { PeopleSecrets } from './people-secrets.ts';
import { createProvider } from './provider.ts';
import type { Provider } from './provider.ts';

/** Sign-in for people. */
export interface People {
  readonly provider: Provider;
  readonly secrets: PeopleSecrets;
  readonly signInAttempts: Attempts;
  readonly deviceAttempts: Attempts;
  /** Bounds what the log says about refused logout tokens. They are never throttled: the provider must be heard. */
  readonly logoutAttempts: Attempts;
  readonly logoutTokens: LogoutTokens;
  readonly endedSignIns: EndedSignIns;
  readonly devices: DeviceRequests;
  /** The origin under which browsers know this server, such as `https://api.example.com`. */
  readonly origin: string;
  /** Whether browsers come by TLS: then cookies are bound to this host name alone. */
  readonly isSecure: boolean;
}

export interface PeopleOptions {
  readonly config: ApiConfig;
  readonly clientSecret: Secret | undefined;
  readonly root: Secret;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Undefined if no provider is configured. */
export function createPeople({ config, clientSecret, root, clock, logger }: PeopleOptions): People | undefined {
  if (config.oidcIssuer === '') return undefined;
  const { origin, protocol } = new URL(config.apiUrl);
  const provider = createProvider({ config, clientSecret, redirectUri: `${origin}/auth/callback`, clock, logger });
  const endedSignIns = createEndedSignIns(clock);
  return {
    provider,
    secrets: createPeopleSecrets(root),
    signInAttempts: createAttempts(clock, 'sign-ins'),
    deviceAttempts: createAttempts(clock, 'codes'),
    logoutAttempts: createAttempts(clock, 'logout tokens'),
    logoutTokens: createLogoutTokens({
      ...{ clientId: config.oidcClientId, ended: endedSignIns, clock },
      findTokenSource: async () => await provider.findTokenSource(),
    }),
    endedSignIns,
    devices: createDeviceRequests(clock),
    origin,
    isSecure: protocol === 'https:',
  };
}
