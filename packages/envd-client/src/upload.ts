import { SoulBoxError } from '@soulbox/base';
import { callEnvd } from './call-envd.ts';
import { printable } from './printable.ts';
import { tenantHeaders } from './tenant-headers.ts';
import type { Way } from './way.ts';

export interface UploadOptions {
  /** Absent: envd's default user. */
  readonly user?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The answer to an upload names one file. */
const maxAnswerBytes = 64 * 1024;

export async function upload(
  way: Way,
  accessToken: string,
  file: { readonly path: string; readonly content: AsyncIterable<Uint8Array> | Uint8Array },
  { user, ...limits }: UploadOptions,
): Promise<void> {
  const query = new URLSearchParams({ path: file.path, ...(user === undefined ? {} : { username: user }) });
  const { status, body } = await callEnvd(way, {
    method: 'POST',
    path: `/files?${query.toString()}`,
    headers: { ...tenantHeaders(accessToken), 'content-type': 'application/octet-stream' },
    body: file.content,
    ...limits,
    maxAnswerBytes,
  });
  if (status === 200) return;
  if (status === 507) throw new SoulBoxError('disk_full', 'The disk of the sandbox is full.');
  const words = printable(body.toString('utf8').slice(0, 200));
  throw new SoulBoxError('bad_request', `The file could not be written: ${words}`);
}
