import { locateCriu } from '../criu/find-criu.ts';
import type { Criu } from '../criu/criu.ts';
import { tryCriu } from '../criu/trial.ts';
import type { Check, Finding } from '../finding.ts';
import type { ProbeResult } from '../probe.ts';

/** Whether sandboxes can be saved. Everything else works without it. */
export const checkCriu: Check = async () => {
  const criu = await locateCriu();
  return criu === undefined ? judgeCriu(undefined) : judgeCriu(criu, await tryCriu(criu));
};

const fix = {
  debian: 'soulbox setup --install  (installs the CRIU of Debian unstable into its own folder)',
  fedora: 'dnf install criu, 4.2 or later',
  alpine: 'apk add criu, 4.2 or later',
  arch: 'pacman -S criu',
};

export function judgeCriu(criu: Criu | undefined, tried: ProbeResult = { ok: false, why: 'not tried' }): Finding {
  const base = {
    id: 'criu',
    title: 'CRIU',
    protects: 'pause, resume, snapshots and forks of sandboxes (everything else works without it)',
  };
  if (criu === undefined) return { ...base, status: 'warn', detail: 'not installed, or older than 4.2', fix };
  if (!tried.ok)
    return { ...base, status: 'warn', detail: `${criu.version} does not work on this host: ${tried.why}`, fix };
  return { ...base, status: 'ok', detail: `${criu.version} saves and restores a process (${criu.program})` };
}
