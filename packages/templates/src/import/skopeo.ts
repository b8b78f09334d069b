import { access, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import { runWithLines } from '../run-with-lines.ts';

export interface RegistryOptions {
  /** False accepts a registry without TLS or with a certificate nobody vouches for. Default true. */
  readonly tlsVerify?: boolean;
  /** containers-auth.json(5) file with the registry's credentials. Default: where skopeo looks by itself. */
  readonly authFile?: string;
  /** The text of such a file; it comes before the file, and stands on the disk under no name. */
  readonly credentials?: Secret;
  /** Aborted: what is under way is ended, and nothing stays. */
  readonly signal?: AbortSignal;
}

const policyFile = '/etc/containers/policy.json';

/** Runs skopeo with its temporary files and for a moment its credentials in `directory`. Gives what it prints. Throws CommandError. */
export async function runSkopeo(
  directory: string,
  args: (authFlags: readonly string[]) => readonly string[],
  options: RegistryOptions & { readonly timeoutMs: number },
): Promise<string> {
  const { authFile, credentials, timeoutMs, signal } = options;
  if (authFile?.startsWith('-') === true) throw new SoulBoxError('bad_request', 'The auth file must be a path.');
  await using file = credentials === undefined ? undefined : await openNameless(directory, credentials);
  const path = file === undefined ? authFile : '/proc/self/fd/3';
  return await runWithLines('skopeo', [...(await globalFlags(directory)), ...args(path === undefined ? [] : [path])], {
    timeoutMs,
    onLine: () => undefined,
    ...(signal === undefined ? {} : { signal }),
    ...(file === undefined ? {} : { descriptor: file.fd }),
  });
}

/** A file that nobody but the holder of its descriptor can open, and that is gone with it, whatever happens to this process. */
async function openNameless(directory: string, content: Secret): Promise<FileHandle> {
  const path = join(directory, 'credentials');
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  await file.writeFile(content.reveal());
  return file;
}

// Where the host says whose signatures it trusts, that holds. Most hosts have no such file, and skopeo then refuses all.
async function globalFlags(temporary: string): Promise<string[]> {
  const hasPolicy = await access(policyFile).then(
    () => true,
    () => false,
  );
  return ['--tmpdir', temporary, ...(hasPolicy ? [] : ['--insecure-policy'])];
}
