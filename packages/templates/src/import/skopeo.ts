import { access, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { Logger, Secret } from '@soulbox/base';
import { runWithLines } from '../run-with-lines.ts';
import { lastWords } from './confined.ts';
import { hasFileWall, wallFlags } from './file-wall.ts';
import { explainRegistry } from './registry-words.ts';

/** A separate network for skopeo, which follows every redirect of a registry. */
export interface RegistryNetwork {
  /** Runs `act`, so that a program that it spawns is in that network. */
  readonly enter: <T>(act: () => T) => T;
  /** The HTTP proxy through which everything there is reached. */
  readonly proxyUrl: string;
}

export interface RegistryOptions {
  /** False accepts a registry without TLS or with an untrusted certificate. Default true. */
  readonly tlsVerify?: boolean;
  /** containers-auth.json(5) file with the registry's credentials. Default: where skopeo looks by itself. */
  readonly authFile?: string;
  /** The text of such a file; it has priority over the file, and is stored on the disk without a name. */
  readonly credentials?: Secret;
  /**
   * The network that skopeo runs in, and its way out. Default: the host's own network, with the proxies of the host's
   * environment.
   */
  readonly network?: RegistryNetwork;
  /** When it aborts, the operation ends and nothing is left. */
  readonly signal?: AbortSignal;
  /** Where it is logged that this host cannot restrict the files of skopeo. Without it, they are not restricted. */
  readonly logger?: Logger;
}

/** Whom skopeo trusts, and how it finds hosts. */
const settings = [
  ...['/etc/ssl', '/etc/ca-certificates', '/etc/pki', '/etc/crypto-policies', '/etc/containers', '/etc/docker/certs.d'],
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/host.conf', '/etc/gai.conf', '/etc/localtime'],
  ...['/etc/passwd', '/etc/group', '/var/lib/ca-certificates'],
];

/** A user on the host itself reads skopeo's full message; others read only its meaning. */
export function explainerFor({ network }: RegistryOptions): (words: string) => string {
  return network === undefined ? lastWords : explainRegistry;
}

const policyFile = '/etc/containers/policy.json';

/**
 * Runs skopeo with its temporary files and, for a moment, its credentials in `directory`. It reads what a registry or an
 * image says, so it has no capabilities, and where the host has Landlock no files but its settings and the folder
 * `writes`, by default `directory`. Returns its output. Throws CommandError.
 */
export async function runSkopeo(
  directory: string,
  args: (authFlags: readonly string[]) => readonly string[],
  options: RegistryOptions & { readonly timeoutMs: number; readonly writes?: string },
): Promise<string> {
  const { authFile, credentials, timeoutMs, signal, network } = options;
  if (authFile?.startsWith('-') === true) throw new SoulBoxError('bad_request', 'The auth file must be a path.');
  await using file = credentials === undefined ? undefined : await openNameless(directory, credentials);
  const path = file === undefined ? authFile : '/proc/self/fd/3';
  const wall = await wallOf(directory, options);
  const skopeo = [...wall, 'skopeo', ...(await globalFlags(directory)), ...args(path === undefined ? [] : [path])];
  const [command = '', ...rest] = network === undefined ? skopeo : [...throughProxy(network.proxyUrl), ...skopeo];
  return await runWithLines(command, rest, {
    timeoutMs,
    ...(network === undefined ? {} : { enter: network.enter }),
    onLine: () => undefined,
    ...(signal === undefined ? {} : { signal }),
    ...(file === undefined ? {} : { descriptor: file.fd }),
  });
}

async function wallOf(
  directory: string,
  { authFile, writes = directory, logger }: RegistryOptions & { readonly writes?: string },
): Promise<string[]> {
  if (logger === undefined || !(await hasFileWall(logger))) return [];
  const reads = authFile === undefined ? settings : [...settings, authFile];
  return ['setpriv', '--bounding-set=-all', ...wallFlags({ reads, writes: [writes] }), '--no-new-privs', '--'];
}

/** Go checks the upper-case names first, and uses no proxy for hosts in NO_PROXY. */
function throughProxy(url: string): string[] {
  const set = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].map((name) => `${name}=${url}`);
  return ['env', '-u', 'NO_PROXY', '-u', 'no_proxy', ...set];
}

/**
 * A file that only the holder of its descriptor can open, and that is gone when the descriptor is closed, whatever
 * happens to this process.
 */
async function openNameless(directory: string, content: Secret): Promise<FileHandle> {
  const path = join(directory, 'credentials');
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  await file.writeFile(content.reveal());
  return file;
}

// If the host specifies whose signatures it trusts, that applies. Most hosts have no such file, and skopeo would then
// refuse all images.
async function globalFlags(temporary: string): Promise<string[]> {
  const hasPolicy = await access(policyFile).then(
    () => true,
    () => false,
  );
  return ['--tmpdir', temporary, ...(hasPolicy ? [] : ['--insecure-policy'])];
}
