import { run } from '@soulbox/base';

const timeoutMs = 10_000;

/**
 * Name and version of a program, from its answer to `--version`: `criu 4.2.1`. The program is asked until it has
 * answered once, because it may be installed later; empty if it is missing or reports no version.
 */
export function createVersionReader(name: string, command: readonly string[]): () => Promise<string> {
  let known: Promise<string> | undefined;
  return async () => {
    const version = await (known ??= readVersion(name, command));
    if (version === '') known = undefined;
    return version;
  };
}

async function readVersion(name: string, [program = '', ...args]: readonly string[]): Promise<string> {
  const text = await run(program, [...args, '--version'], { timeoutMs }).catch(() => '');
  // `Version: 4.2.1` of CRIU, `runsc version release-20260101.0` of runsc.
  const [, version] = /version:?\s+(\S{1,64})/i.exec(text) ?? [];
  return version === undefined ? '' : `${name} ${version}`;
}
