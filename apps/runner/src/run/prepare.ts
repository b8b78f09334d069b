import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client';
import { getRuntime } from '@soulbox/runtimes';
import type { Folder, Preparation, RuntimeName } from '@soulbox/runtimes';
import { findVersion } from './choose.ts';
import type { DependencyCache } from './dependency-cache.ts';
import type { RunSession } from './run-session.ts';

/** Where a project's dependencies came from. */
export type Dependencies = 'none' | 'skipped' | 'present' | 'cache' | 'installed';

/** Time limit for all commands of one preparation. */
const installTimeoutMs = 600_000;
/** Limit for a lock file. The dependencies of a project with a longer one are not cached. */
const maxLockBytes = 16 * 1024 * 1024;
/** An error repeats this much of the end of the installer's output. */
const tailChars = 300;
/** A file in the project that contains the key of its preparation. */
const stampFile = '.soulbox/prepared';
const keyVersion = 1;

export interface PrepareOptions {
  readonly session: RunSession;
  readonly runtime: RuntimeName;
  readonly project: { readonly path: string; readonly folder: Folder };
  readonly cache: DependencyCache | undefined;
  /** Called with the output of the installer. */
  readonly onLog: (text: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Installs the project's dependencies, unless they are present or in the cache. Throws `dependencies_failed`. */
export async function prepareProject(options: PrepareOptions): Promise<Dependencies> {
  const preparation = getRuntime(options.runtime).prepare(options.project.folder, options.project.path);
  if (preparation === undefined) return 'none';
  const key = await keyOf(options, preparation);
  if (key === undefined) {
    await install(options, preparation);
    return 'installed';
  }
  const { session, project, cache } = options;
  const stampPath = posix.join(project.path, stampFile);
  const stamp = await session.files.read(stampPath, key.length).catch(() => undefined);
  if (stamp?.toString('latin1') === key) return 'present';
  const target = { session, key, folder: project.path, names: preparation.results, signal: options.signal };
  const isRestored = (await cache?.restore(target)) ?? false;
  if (!isRestored) await install(options, preparation);
  await session.programs.upload(stampPath, Buffer.from(key), { user: session.user, signal: options.signal });
  if (isRestored) return 'cache';
  await cache?.keep(target);
  return 'installed';
}

/** A digest of everything that determines an installation. Undefined: the installation is repeated every time. */
async function keyOf(
  { session, runtime, project }: PrepareOptions,
  preparation: Preparation,
): Promise<string | undefined> {
  if (preparation.results.length === 0) return undefined;
  const names = preparation.decidedBy.filter((name) => project.folder.names.has(name));
  const files = await Promise.all(
    names.map(async (name) => {
      const content = await session.files.read(posix.join(project.path, name), maxLockBytes);
      return content.length >= maxLockBytes ? undefined : [name, createHash('sha256').update(content).digest('hex')];
    }),
  );
  if (files.includes(undefined)) return undefined;
  const { templateId, tenant } = session.sandbox.record;
  const version = await findVersion(session, runtime);
  const parts = [keyVersion, tenant.teamId, templateId, runtime, version, process.arch, preparation.commands, files];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

async function install({ session, project, onLog, signal }: PrepareOptions, preparation: Preparation): Promise<void> {
  const deadline = Date.now() + installTimeoutMs;
  for (const [command, ...args] of preparation.commands) {
    let tail = '';
    const program = { command, args, env: preparation.env, cwd: project.path, user: session.user, signal };
    const end = await session.programs
      .run({ ...program, timeoutMs: Math.max(1, deadline - Date.now()) }, async (_channel, bytes) => {
        tail = `${tail}${Buffer.from(bytes).toString('utf8')}`.slice(-tailChars);
        await onLog(bytes);
      })
      .catch((error: unknown) => {
        throw commandError(command, error, deadline);
      });
    if (end.exitCode !== 0) {
      throw new SoulBoxError(
        'dependencies_failed',
        `The dependencies could not be installed: ${[command, ...args.slice(0, 3)].join(' ')} ended with ${end.status}: ` +
          printable(tail).trim(),
      );
    }
  }
}

function commandError(command: string, error: unknown, deadline: number): unknown {
  if (Date.now() >= deadline)
    return new SoulBoxError(
      'process_timeout',
      `Installing the dependencies took more than ${installTimeoutMs / 1000} s and was stopped.`,
    );
  if (error instanceof SoulBoxError && error.reason === 'bad_request')
    return new SoulBoxError(
      'dependencies_failed',
      `The sandbox cannot run ${command}, which installs the dependencies.`,
    );
  return error;
}
