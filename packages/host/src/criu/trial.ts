import { mkdir, readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandError, run, writeFileAtomic } from '@soulbox/base';
import type { ProbeResult } from '../probe.ts';
import type { Criu } from './criu.ts';
import { criuEnvironment } from './criu.ts';

/** Caches the last CRIU that passed the trial, so that a start of the server need not wait for it. */
const cacheFile = '/var/cache/soulbox/criu-trial.json';
/**
 * A trial takes 0.3 s. A server that starts together with everything else on a busy host must not take slowness for a
 * CRIU that does not work: it would run without pause until its next start.
 */
const usualTimeoutMs = 20_000;
// Everything that the trial starts dies with the first process of its namespaces, however that ends.
const namespaces = ['--mount', '--pid', '--net', '--fork', '--kill-child=KILL', '--mount-proc'];

/**
 * Whether this CRIU saves and restores a process with a listening TCP socket here. `criu check` can say "Looks good" on
 * hosts where this fails, so the trial does it for real, in separate namespaces and within `timeoutMs`. A success is cached for
 * this program on this kernel.
 */
export async function tryCriu(criu: Criu, cache = cacheFile, timeoutMs = usualTimeoutMs): Promise<ProbeResult> {
  const key = await describe(criu);
  if ((await readFile(cache, 'utf8').catch(() => '')) === key) return { ok: true };
  const result = await runTrial(criu, timeoutMs);
  if (result.ok) {
    await mkdir(dirname(cache), { recursive: true });
    await writeFileAtomic(cache, key, { mode: 0o644 });
  }
  return result;
}

async function describe({ program, libraryDirectory, version }: Criu): Promise<string> {
  const { mtimeMs } = await stat(program);
  return JSON.stringify({ program, libraryDirectory, version, mtimeMs, kernel: release() });
}

async function runTrial({ program, libraryDirectory }: Criu, timeoutMs: number): Promise<ProbeResult> {
  const script = [process.execPath, join(import.meta.dirname, 'trial-process.ts'), program];
  try {
    await run('unshare', [...namespaces, '--', ...script], { env: criuEnvironment(libraryDirectory), timeoutMs });
    return { ok: true };
  } catch (error) {
    return { ok: false, why: reasonOf(error, timeoutMs) };
  }
}

/** Prefers CRIU's own message. Its first error names the cause; later errors are consequences. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof CommandError)) return String(error);
  if (error.stderr === '') return `it did not end within ${timeoutMs / 1000} s`;
  const said = /Error \([^)]*\): (?!rlimit)(.*)/.exec(error.stderr)?.[1];
  return (said ?? error.stderr).replaceAll(/\s+/g, ' ').slice(-300);
}
