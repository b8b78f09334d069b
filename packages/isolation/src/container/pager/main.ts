// The worker of a pager: loads the memory of one restored sandbox, then ends. guard.sh starts it. The job comes on its
// standard input as JSON, and it writes "ready" once CRIU can connect. Imports little, because its start is part of a
// resume.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ProcessIdentity } from '@soulbox/base';
import { ignoreSignal, startSharer, waitpid } from '@soulbox/linux/processes';
import { acceptCriu, listenForCriu } from './criu-connection.ts';
import type { PagerJob } from './job.ts';
import { createPageService } from './page-service.ts';
import { waitReadable } from './poll-set.ts';
import { writePagerRecord } from './record.ts';
import { DamagedError } from './verified-pages.ts';

/** A restore that has not connected by then never will. */
const connectTimeoutMs = 60_000;
const noHang = 1;
const endSandboxScript = fileURLToPath(new URL('end-sandbox.sh', import.meta.url));

// The guard ignores these signals too, but Node has reset them. A polite stop of the server must not end a pager.
for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) ignoreSignal(constants.signals[name]);
const guardPid = process.ppid;
const sharerPid = startSharer();

const text = readFileSync(0, 'utf8');
// An empty job: the server that kept this pager in reserve does not need it.
const exitCode = text === '' ? 0 : work(JSON.parse(text) as PagerJob);
if (sharerRuns()) process.kill(sharerPid, 'SIGKILL');
process.exit(exitCode);

function work(job: PagerJob): number {
  process.umask(0o077);
  process.chdir(job.workDirectory);
  writePagerRecord('.', {
    state: 'loading',
    guard: identify(guardPid),
    worker: identify(process.pid),
    sharer: identify(sharerPid),
  });
  const listener = listenForCriu();
  writeSync(1, 'ready\n');
  if (waitReadable([listener], connectTimeoutMs).length === 0) return 0;
  const { imageDirectory, digests } = job;
  const service = createPageService({ imageDirectory, digests, connection: acceptCriu(listener), watch });
  try {
    service.run();
    writePagerRecord('.', { state: 'complete' });
    return 0;
  } catch (error) {
    // This comes first: until the sandbox has ended, its missing memory must not turn into zeros.
    spawnSync(endSandboxScript, job.killDirectories, { stdio: 'ignore' });
    const state = error instanceof DamagedError ? 'damaged' : 'interrupted';
    writePagerRecord('.', { state, detail: error instanceof Error ? error.message : String(error) });
    return 1;
  }
}

/** Each of the three processes prevents zeros when another dies; a single one left could not. */
function watch(): void {
  if (process.ppid !== guardPid) throw new Error('The guard of the pager has ended.');
  if (!sharerRuns()) throw new Error('The sharer of the pager has ended.');
}

function sharerRuns(): boolean {
  return waitpid(sharerPid, null, noHang) === 0;
}

function identify(pid: number): ProcessIdentity {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return { pid, startTicks: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) };
}
