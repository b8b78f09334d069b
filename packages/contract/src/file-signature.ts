import { createHash } from 'node:crypto';

/** The parts of a signed file URL (spec/SOURCES.md, signature `v1_`). */
export interface SignedFileRequest {
  /** The raw `path` query value, unresolved. Empty if absent. */
  readonly path: string;
  readonly operation: 'read' | 'write';
  /** The `username` query value. Empty if absent. */
  readonly username: string;
  /** Unix seconds, exactly as in the query. */
  readonly expiration: string | undefined;
}

const prefix = 'v1_';
/** SHA-256 in base64 without padding. */
const signaturePattern = /^v1_[A-Za-z0-9+/]{43}$/;

/** Whether the text has the form of a signature. */
export function isFileSignature(text: string): boolean {
  return signaturePattern.test(text);
}

/** E2B's `v1_` signature: SHA-256 over the parts and the sandbox's token, base64 without padding. */
export function fileSignature(request: SignedFileRequest, accessToken: string): string {
  return createFileSigner(request)(accessToken);
}

/** Signs one request with several tokens. The part before the token is hashed only once. */
export function createFileSigner(request: SignedFileRequest): (accessToken: string) => string {
  const start = createHash('sha256').update(`${request.path}:${request.operation}:${request.username}:`);
  const end = request.expiration === undefined ? '' : `:${request.expiration}`;
  return (accessToken) => {
    const digest = start
      .copy()
      .update(accessToken + end)
      .digest('base64');
    return prefix + digest.replace(/=+$/, '');
  };
}
