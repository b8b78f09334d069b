import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DriverFinding } from '../driver.ts';
import { presenceFinding } from '../host/findings.ts';
import { probeRoot } from '../root/probe-root.ts';
import type { Host } from './host.ts';
import type { Trial } from './trial.ts';
import { openTrial } from './trial.ts';

/** Writes the version of the kernel it runs on and waits. */
const program = ['/usr/bin/sh', '-c', 'cat /proc/version > /version; exec sleep 60'];

/** Looks at the host, and runs two sandboxes for a second, without disk or network. Nothing of them is left. */
export async function probeHost(host: Host): Promise<readonly DriverFinding[]> {
  const findings = [
    ...(await probeRoot()),
    await presenceFinding('runsc', ['--version']),
    await presenceFinding('ip', ['-Version']),
  ];
  return findings.every(({ ok }) => ok) ? [...findings, ...(await tryRunsc(host))] : findings;
}

async function tryRunsc(host: Host): Promise<DriverFinding[]> {
  const settings = (await host.hidesNetworkSettings()) ? 'hide' : 'show';
  await using trial = await openTrial(host, program, settings);
  const way = settings === 'hide' ? "with the host's network settings hidden from this runsc" : 'as it is';
  return [
    await attempt('runsc runs', async () => {
      await trial.runsc('run', '-detach', '-pid-file', trial.pidFile);
      return way;
    }),
    await attempt('wall of gVisor', () => describeWall(trial)),
    await attempt('checkpoint', () => saveAndRestore(trial)),
  ];
}

async function attempt(name: string, act: () => Promise<string>): Promise<DriverFinding> {
  try {
    return { name, ok: true, detail: await act() };
  } catch (error) {
    return { name, ok: false, detail: String(error) };
  }
}

/** From inside: another kernel than the host's. From outside: a filtered process without ids of the host. */
async function describeWall(trial: Trial): Promise<string> {
  const pid = Number(await readFile(trial.pidFile, 'latin1'));
  const ofPid = async (file: string): Promise<string> => (await readFile(`/proc/${pid}/${file}`, 'latin1')).trim();
  const inside = (await readFile(join(trial.rootfs, 'version'), 'latin1')).trim();
  const proofs = {
    'the kernel inside is the host’s': inside !== (await readFile('/proc/version', 'latin1')).trim() && inside !== '',
    'its process is not runsc’s': (await ofPid('cmdline')).startsWith('runsc-sandbox'),
    'its system calls are not filtered': /^Seccomp:\t2$/m.test(await ofPid('status')),
    'it has ids of the host': /^0\s+65534\s+1$/.test(await ofPid('uid_map')),
  };
  const [failed] = Object.entries(proofs).find(([, holds]) => !holds) ?? [];
  if (failed !== undefined) throw new Error(failed);
  return inside;
}

async function saveAndRestore(trial: Trial): Promise<string> {
  await mkdir(trial.image);
  await trial.runsc('pause');
  await trial.runsc('checkpoint', '-leave-running', '-compression=none', '-image-path', trial.image);
  await trial.end();
  await trial.runsc('restore', '-detach', '-image-path', trial.image);
  return 'saved and restored';
}
