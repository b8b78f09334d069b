import { createHash } from 'node:crypto';

/** What a signed file URL says (spec/SOURCES.md, envd authentication). */
export interface SignedFileRequest {
  /** The raw `path` query value, not resolved; empty when absent. */
  readonly path: string;
  readonly operation: 'read' | 'write';
  /** The `username` query value, or empty. */
  readonly username: string;
  /** Unix seconds, exactly as in the query. */
  readonly expiration: string | undefined;
}

/** E2B's `v1_` signature: SHA-256 over the parts and the sandbox's token, base64 without padding. */
export function fileSignature(request: SignedFileRequest, accessToken: string): string {
  const parts = [request.path, request.operation, request.username, accessToken];
  if (request.expiration !== undefined) parts.push(request.expiration);
  const digest = createHash('sha256').update(parts.join(':')).digest('base64');
  return `v1_${digest.replace(/=+$/, '')}`;
}
