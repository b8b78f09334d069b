/**
 * The query parameters of a signed URL (docs/signed-urls.md). All names with this prefix are reserved, in every case of
 * letters: a request with an unknown one is refused.
 */
export const parameterPrefix = 'soulbox-';

export const parameterNames = {
  keyId: 'soulbox-key',
  signerId: 'soulbox-by',
  expiresAt: 'soulbox-expires',
  nonce: 'soulbox-nonce',
  once: 'soulbox-once',
  maxBytes: 'soulbox-max-bytes',
  contentType: 'soulbox-type',
  prefix: 'soulbox-prefix',
  filePrefix: 'soulbox-file-prefix',
  addresses: 'soulbox-from',
  signature: 'soulbox-signature',
} as const;

/** The query parameter in which envd's `/files` receives the path of the file. */
export const filePathName = 'path';

/** What a signed URL allows, apart from its method, host, path and the other query parameters. */
export interface Grant {
  /** Names the signing key of the team. */
  readonly keyId: string;
  /** The API key, session or personal token through which the URL was signed. When that ends, the URL ends. */
  readonly signerId: string;
  /** Unix seconds. */
  readonly expiresAt: number;
  /** 16 random bytes in base64url. */
  readonly nonce: string;
  /** Whether the URL may be used only once. */
  readonly once: boolean;
  /** Limit of the request body in bytes. */
  readonly maxBytes?: number | undefined;
  /** The media type of the request body, such as `image/png` or `image/*`. */
  readonly contentType?: string | undefined;
  /** Every path that begins with it is allowed. A canonical path that ends with a slash. */
  readonly prefix?: string | undefined;
  /** The same for the query parameter `path` of envd's `/files`. */
  readonly filePrefix?: string | undefined;
  /** Addresses and CIDR networks of clients. Absent: any. */
  readonly addresses?: readonly string[] | undefined;
}
