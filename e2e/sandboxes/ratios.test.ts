// Times depend on the machine, so each is compared with what bare programs need for the same in this run
// (docs/benchmarks.md has the times). Nothing rests in between: some hosts take the memory of an idle guest away, and what
// comes first after a second is several times slower there. A limit is two and a half times what was measured: it finds a
// step that was added, not a slow hour.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { findCriu } from '@soulbox/host';
import { startServer } from '@soulbox/testing';
import { openPodman } from '@soulbox/testing/engines';
import type { Engine } from '@soulbox/testing/engines';
import { Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import type { TestContext } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server as shared } from '../harness/server.ts';

const rounds = 9;

async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function median(samples: readonly number[]): number {
  return samples.toSorted((one, other) => one - other)[Math.floor(samples.length / 2)] ?? Number.NaN;
}

/** Both in turns, so that a slow moment affects both. */
async function compare(what: string, ours: () => Promise<number>, bare: () => Promise<number>): Promise<number> {
  const [own, others]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round++) {
    own.push(await ours());
    others.push(await bare());
  }
  return ratioOf(what, own, others);
}

/** The first round warms up. */
function ratioOf(what: string, own: readonly number[], bare: readonly number[]): number {
  const [ours, other] = [median(own.slice(1)), median(bare.slice(1))];
  console.log(`${what}: ${ours.toFixed(1)} ms, ${other.toFixed(1)} ms, ratio ${(ours / other).toFixed(2)}`);
  return ours / other;
}

test('a command costs a small multiple of the shell that it starts', async () => {
  const sandbox = await createSandbox();
  const count = 20;
  const shells = `TIMEFORMAT=%R; time for n in $(seq ${count}); do bash -l -c true; done`;
  const ratio = await compare(
    'commands.run("true"), `bash -l -c true` inside',
    async () => (await timeMs(async () => await times(count, async () => await sandbox.commands.run('true')))) / count,
    async () => (Number((await sandbox.commands.run(shells)).stderr) * 1000) / count,
  );
  expect(ratio).toBeLessThan(16);
});

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let number = 0; number < count; number++) await work();
}

test('a create costs a part of `podman run` from the pool, and a small multiple without it', async (context) => {
  await using podman = await openPodmanOrSkip(context);
  const server = await startServer({
    ...{ instance: ownInstance(), poolSize: 0 },
    environment: { SOULBOX_ISOLATION: shared.isolation },
  });
  onTestFinished(async () => {
    await server.stop();
    await removeTree(server.dataDirectory);
  });
  const connection = {
    apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
    sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
    apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
  };
  const times = { pool: [] as number[], cold: [] as number[], podman: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    times.podman.push(await podman.firstOutputMs());
    times.pool.push(await timeFirstOutput());
    times.cold.push(await timeFirstOutput(connection));
  }
  const what = 'create to the first output';
  expect(ratioOf(`${what}, \`podman run\``, times.pool, times.podman)).toBeLessThan(1);
  expect(ratioOf(`${what} without a pool, \`podman run\``, times.cold, times.podman)).toBeLessThan(3);
});

async function timeFirstOutput(connection?: { apiUrl: string; sandboxUrl: string; apiKey: string }): Promise<number> {
  let sandbox: Sandbox | undefined;
  const ms = await timeMs(async () => {
    sandbox = await Sandbox.create('base', connection ?? {});
    await sandbox.commands.run('echo ready');
  });
  await sandbox?.kill();
  return ms;
}

async function openPodmanOrSkip(context: TestContext): Promise<Engine> {
  const podman = await openPodman();
  if ('skipped' in podman) context.skip(podman.skipped);
  return podman;
}

test('a pause and a resume cost a small multiple of what bare CRIU needs for an idle process', async (context) => {
  if (shared.isolation !== 'container') context.skip(`the isolation "${shared.isolation}" does not use CRIU`);
  const criu = await findCriu();
  if (criu === undefined) throw new Error('the host has no CRIU');
  const sandbox = await createSandbox();
  const bare = { dump: [] as number[], restore: [] as number[] };
  const pauses: number[] = [];
  const resumes: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const { dumpMs, restoreMs } = await timeBareCriu(criu.program, criu.libraryDirectory);
    bare.dump.push(dumpMs);
    bare.restore.push(restoreMs);
    pauses.push(await timeMs(async () => await sandbox.pause()));
    resumes.push(
      await timeMs(async () => {
        await sandbox.connect();
        await sandbox.commands.run('true');
      }),
    );
  }
  expect(ratioOf('pause, bare `criu dump`', pauses, bare.dump)).toBeLessThan(36);
  expect(ratioOf('resume to the end of a command, bare `criu restore`', resumes, bare.restore)).toBeLessThan(55);
});

/**
 * The second cycle counts: the first one collects CRIU's facts about the kernel. What others left open would be saved, too.
 */
const bareCycles = `set -e
for fd in /proc/self/fd/*; do
  fd=\${fd##*/}
  [ "$fd" -le 2 ] || eval "exec $fd>&-"
done
ip link set lo up
mount -t tmpfs none /run
mkdir /run/images
setsid sleep 60 </dev/null >/dev/null 2>&1 &
pid=$!
sleep 0.05
criu() { "$CRIU" "$@" --images-dir /run/images --no-default-config --manage-cgroups=ignore --verbosity=0; }
for cycle in 1 2; do
  began=$(date +%s%N)
  criu dump --tree "$pid" --network-lock skip
  dumped=$(date +%s%N)
  while [ -e "/proc/$pid" ]; do sleep 0.01; done
  again=$(date +%s%N)
  criu restore --restore-detached
  restored=$(date +%s%N)
done
echo "$(((dumped - began) / 1000)) $(((restored - again) / 1000))"`;

async function timeBareCriu(program: string, libraries: string): Promise<{ dumpMs: number; restoreMs: number }> {
  const namespaces = ['--mount', '--pid', '--net', '--fork', '--kill-child=KILL', '--mount-proc'];
  const { stdout } = await promisify(execFile)('unshare', [...namespaces, '--', 'bash', '-c', bareCycles], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LD_LIBRARY_PATH: libraries, CRIU: program },
    timeout: 30_000,
  });
  const [dumpUs = Number.NaN, restoreUs = Number.NaN] = stdout.trim().split(' ').map(Number);
  return { dumpMs: dumpUs / 1000, restoreMs: restoreUs / 1000 };
}
