import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

const program = join(import.meta.dirname, 'volume-server.ts');

/** Mounts of one volume, in folders of `data`. Disposing unmounts them. */
export interface MountedVolume extends AsyncDisposable {
  readonly mounts: readonly string[];
  /** What its server has printed: `ready`, faults, and `unmounted`. */
  readonly output: () => string;
}

/**
 * Serves the volume `v` of `data` in a process of its own: who uses a mount and serves it would wait for itself. Two
 * mounts share it, as sandboxes do; a single one lets the kernel keep what it knows. `asService`: a single one has what
 * the volume service gives to the only sandbox of a volume. `withReadOnly`: one more mount, the last one, through which
 * nothing can be changed. Throws if the server ends.
 */
export async function mountVolume(
  data: string,
  count: 1 | 2,
  { asService = false, withReadOnly = false }: { readonly asService?: boolean; readonly withReadOnly?: boolean } = {},
): Promise<MountedVolume> {
  const mounts = Array.from({ length: count }, (_, number) => join(data, `mount-${number}`));
  const readOnly = join(data, 'mount-read-only');
  if (withReadOnly) mounts.push(readOnly);
  for (const mount of mounts) await mkdir(mount, { recursive: true });
  const child = spawn(
    process.execPath,
    [
      ...['--conditions=soulbox-source', program, data, 'v', ...mounts],
      ...(asService ? ['--as-service'] : []),
      ...(withReadOnly ? ['--read-only', readOnly] : []),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  if (output !== 'ready\n') throw new Error(`The volume could not be mounted: ${output}`);
  return {
    mounts,
    output: () => output,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
