import type { Secret } from '@soulbox/base';
import type { BoxConfig } from './config.ts';
import { localUrlHostOf } from './local-address.ts';
import type { Trust } from './trust.ts';

export interface ClientEnvironments {
  /** Variables for the official clients over plain HTTP, including the API key. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  /** The same for TLS; empty when TLS is off. */
  readonly tlsEnvironment: Readonly<Record<string, string>>;
  /** The variables of both that are not secret. */
  readonly client: Readonly<Record<string, string>>;
}

/** The variables that the official clients need to find a server. `tlsPort` 0 means that TLS is off. */
export function clientEnvironments(
  config: BoxConfig,
  { port, tlsPort }: { readonly port: number; readonly tlsPort: number },
  { apiKey, trust }: { readonly apiKey: Secret; readonly trust: Pick<Trust, 'file'> | undefined },
): ClientEnvironments {
  const url = `http://${localUrlHostOf(config.gateway.host)}:${port}`;
  const plain = { E2B_API_URL: url, E2B_SANDBOX_URL: url, E2B_VOLUME_API_URL: url };
  const tls =
    tlsPort === 0
      ? undefined
      : {
          E2B_DOMAIN: `${config.gateway.domain}:${tlsPort}`,
          ...(trust === undefined ? {} : trustVariables(trust.file)),
        };
  const key = { E2B_API_KEY: apiKey.reveal() };
  return {
    clientEnvironment: { ...plain, ...key },
    tlsEnvironment: tls === undefined ? {} : { ...tls, ...key },
    client: { ...plain, ...tls },
  };
}

/**
 * Python's httpx and requests each read a variable that names a file to use instead of their own authorities. Node.js
 * adds those of the file to its own, but the variable may have named the system's file before, for instance so that
 * npm reaches a registry of the company.
 */
function trustVariables(file: string): Record<string, string> {
  return { NODE_EXTRA_CA_CERTS: file, SSL_CERT_FILE: file, REQUESTS_CA_BUNDLE: file };
}
