import { run } from '@soulbox/base';

const timeoutMs = 10_000;

/**
 * Name and version of a program, from what it answers to `--version`: `criu 4.2.1`. Asked until it has answered once, as it may
 * be installed later; empty for a program that is not there or gives none.
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
