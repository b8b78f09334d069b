import type { Envd } from '../envd.ts';

/** The options of a URL of a file, as in e2b 2.51.0. */
export interface FileUrlOptions {
  /** How long the URL is valid, in seconds from now. Default: as long as the sandbox exists. */
  readonly useSignatureExpiration?: number | undefined;
  /** The user of the sandbox at whose home a relative path begins. Default: the sandbox's default user. */
  readonly user?: string | undefined;
}

/**
 * A URL that opens one file without a header, signed with the sandbox's access token (E2B's signature `v1_`). Needs
 * WebCrypto, which browsers have in secure contexts only.
 *
 * @internal
 */
export async function fileUrl(
  envd: Envd,
  operation: 'read' | 'write',
  path: string,
  { useSignatureExpiration, user }: FileUrlOptions,
): Promise<string> {
  const query = new URLSearchParams({
    ...(path === '' ? {} : { path }),
    ...(user === undefined ? {} : { username: user }),
  });
  const token = envd.access.envdAccessToken;
  if (token !== undefined) {
    const end =
      useSignatureExpiration === undefined ? undefined : Math.floor(Date.now() / 1000) + useSignatureExpiration;
    const parts = [path, operation, user ?? '', token, ...(end === undefined ? [] : [String(end)])];
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(parts.join(':')));
    const text = btoa(String.fromCharCode(...new Uint8Array(digest))).replace(/=+$/, '');
    query.set('signature', `v1_${text}`);
    if (end !== undefined) query.set('signature_expiration', String(end));
  }
  return `${envd.url}/files?${query.toString()}`;
}
