import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { envdPort } from '@soulbox/contract';
import type { DriverFinding, EnvdBundle } from '../driver.ts';
import { presenceFinding } from '../host/findings.ts';
import { probeRoot } from '../root/probe-root.ts';
import type { Host } from './host.ts';
import { mendState, needsMending } from './checkpoint/mend-state.ts';
import type { Trial } from './trial.ts';
import { openTrial } from './trial.ts';

/** The number of programs that envd must have run before the save, and again after it. */
const answersMin = 3;
const answersTimeoutMs = 5_000;

/** Asks envd to run a program as root, who has no password. */
const order = JSON.stringify({ process: { cmd: '/usr/bin/true' } });
const lines = [
  'POST /process.Process/Start HTTP/1.1',
  'host: localhost',
  'connection: close',
  'authorization: Basic cm9vdDo=',
  'content-type: application/connect+json',
  // A frame of Connect: no flags, and a length of four bytes.
  `content-length: ${5 + order.length}`,
];
const request = `${lines.join('\\r\\n')}\\r\\n\\r\\n\\0\\0\\0\\0\\x${order.length.toString(16)}${order}`;

/**
 * Writes the version of the kernel that it runs on, starts envd, and makes it run a program every tenth of a second,
 * each time on a new connection; each correct answer is a line in /answers.
 */
const program = `
cat /proc/version > /version
"$@" &
while sleep 0.1; do
  (exec 3<> /dev/tcp/127.0.0.1/${envdPort} && printf '${request}' >&3 &&
    read -r line <&3 && [[ $line = *' 200 '* ]] && cat <&3 > /dev/null && echo >> /answers) 2> /dev/null
done`;

/** Checks the host, and runs two sandboxes for some seconds, without disk or network. Nothing of them is left. */
export async function probeHost(host: Host, envdBundle: EnvdBundle): Promise<readonly DriverFinding[]> {
  const findings = [
    ...(await probeRoot()),
    await presenceFinding('runsc', ['--version']),
    await presenceFinding('ip', ['-Version']),
  ];
  return findings.every(({ ok }) => ok) ? [...findings, ...(await tryRunsc(host, envdBundle))] : findings;
}

async function tryRunsc(host: Host, envdBundle: EnvdBundle): Promise<DriverFinding[]> {
  const settings = (await host.hidesNetworkSettings()) ? 'hide' : 'show';
  await using trial = await openTrial(host, {
    program: ['/usr/bin/env', ...envdBundle.environment, 'bash', '-c', program, 'bash', ...envdBundle.command],
    settings,
    envdBundle,
  });
  const way = settings === 'hide' ? "with the host's network settings hidden from this runsc" : 'as it is';
  return [
    await attempt('runsc runs', async () => {
      await trial.runsc('run', '-detach', '-pid-file', trial.pidFile);
      await waitForAnswers(trial, answersMin);
      return way;
    }),
    await attempt('isolation check of gVisor', () => describeWall(trial)),
    await attempt('envd continues after a restore', () => saveAndRestore(host, trial)),
  ];
}

async function attempt(name: string, act: () => Promise<string>): Promise<DriverFinding> {
  try {
    return { name, ok: true, detail: await act() };
  } catch (error) {
    return { name, ok: false, detail: String(error) };
  }
}

/** From inside: a kernel other than the host's. From outside: a filtered process without host ids. */
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

async function saveAndRestore(host: Host, trial: Trial): Promise<string> {
  await mkdir(trial.image);
  await trial.runsc('pause');
  await trial.runsc('checkpoint', '-leave-running', '-compression=none', '-image-path', trial.image);
  const mended = needsMending(await host.readVersion());
  if (mended) await mendState(trial.image);
  await trial.end();
  const before = await countAnswers(trial);
  await trial.runsc('restore', '-detach', '-image-path', trial.image);
  await waitForAnswers(trial, before + answersMin);
  return mended ? 'with what this runsc saves of epoll mended' : 'as this runsc saves it';
}

async function waitForAnswers(trial: Trial, count: number): Promise<void> {
  const giveUpAt = Date.now() + answersTimeoutMs;
  while ((await countAnswers(trial)) < count) {
    if (Date.now() > giveUpAt) throw new Error('envd does not respond in it');
    await sleep(50);
  }
}

async function countAnswers(trial: Trial): Promise<number> {
  return (await readFile(join(trial.rootfs, 'answers'), 'latin1').catch(() => '')).length;
}
