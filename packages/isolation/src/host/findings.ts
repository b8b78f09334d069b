import { readFileSync } from 'node:fs';
import { run } from '@soulbox/base';
import type { DriverFinding } from '../driver.ts';

export type Version = readonly [major: number, minor: number];

/** `detail` says what was found, or what is missing. */
export function finding(name: string, ok: boolean, detail: string): DriverFinding {
  return { name, ok, detail: ok ? detail : `missing: ${detail}` };
}

/** Compares the first `major.minor` in `text` with the required minimum. */
export function versionFinding(name: string, text: string, min: Version): DriverFinding {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(text) ?? [];
  const ok = Number(major) > min[0] || (Number(major) === min[0] && Number(minor) >= min[1]);
  const found = text.split('\n', 1)[0] ?? '';
  return { name, ok, detail: ok ? found : `${found}; ${min.join('.')} or later is needed` };
}

/** A program that reports its version. */
export async function toolFinding(command: string, min: Version): Promise<DriverFinding> {
  try {
    return versionFinding(command, await run(command, ['--version']), min);
  } catch {
    return finding(command, false, `the program ${command}`);
  }
}

/** A program of any version; `args` make it exit at once. */
export async function presenceFinding(command: string, args: readonly string[]): Promise<DriverFinding> {
  try {
    await run(command, args);
    return finding(command, true, 'installed');
  } catch {
    return finding(command, false, `the program ${command}`);
  }
}

export function findingOfFileSystem(name: string): DriverFinding {
  // A module that is not loaded yet is not listed; the kernel loads these two at the first mount.
  const listed = new RegExp(`^(nodev)?\\t${name}$`, 'm').test(readFileSync('/proc/filesystems', 'latin1'));
  return { name, ok: true, detail: listed ? 'in the kernel' : 'not loaded; the kernel loads it when it is needed' };
}
