import { mkdir, mkdtemp, open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { findFreePort, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import type { Sandbox } from 'e2b';
import { openEngines } from '../engines/open-engines.ts';
import type { EngineContainer } from '@soulbox/testing/engines';
import type { Lab } from '../lab.ts';
import { callApi } from '../lab.ts';
import type { Figure, Measurement } from '../measurement.ts';
import { timeMs } from '../time.ts';

const mib = 2 ** 20;
const largeBytes = 1024 * mib;
const fileCount = 10_000;
const fileBytes = 1000;
const copyRounds = 3;
const copyTimeoutMs = 300_000;
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');

/** What is compared, and how one round of it runs. */
interface Contestant {
  readonly what: string;
  readonly round: () => Promise<unknown>;
}

/** Commands of a person: `soulbox sandbox cp` and ssh(1), beside the clients of other engines. */
export const tools: Measurement = {
  name: 'tools',
  async *run(lab) {
    const { engines, skipped } = await openEngines(lab);
    const containers: EngineContainer[] = [];
    for (const engine of engines) containers.push(await engine.startContainer());
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-bench-tools-'));
    const server = await startServer({
      ...{ instance: lab.buildInstance, poolSize: 1 },
      environment: { SOULBOX_SSH_PORT: String(await findFreePort()), SOULBOX_ISOLATION: lab.isolation },
    });
    try {
      const sandbox = await lab.create(server);
      yield* await executions(lab, { server, sandbox, folder, containers });
      yield* await copies(lab, { server, sandbox, folder, containers });
      await sandbox.kill();
    } finally {
      await server.stop();
      await removeTree(server.dataDirectory);
      await removeTree(folder);
    }
    yield* skipped.map(({ skipped: why }) => ({ what: 'exec and cp of another engine', skipped: why }));
  },
};

interface Bench {
  readonly server: ServerProcess;
  readonly sandbox: Sandbox;
  readonly folder: string;
  readonly containers: readonly EngineContainer[];
}

async function executions(lab: Lab, { server, sandbox, folder, containers }: Bench): Promise<Figure[]> {
  const identity = join(folder, 'id');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', identity]);
  const publicKey = await run('cat', [`${identity}.pub`]);
  await callApi(server, 'POST', '/ssh-keys', { publicKey });
  const { port, hostKey } = (await (await callApi(server, 'GET', '/ssh')).json()) as { port: number; hostKey: string };
  const known = join(folder, 'known_hosts');
  await writeFile(known, `soulbox ${hostKey}\n`);
  const options = [
    ...['-F', 'none', '-i', identity, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-p', String(port)],
    ...['-o', 'HostKeyAlias=soulbox', '-o', `UserKnownHostsFile=${known}`],
  ];
  const control = ['-o', `ControlPath=${join(folder, 'control')}`];
  const at = `${sandbox.sandboxId}@127.0.0.1`;
  const ssh = async (...args: string[]): Promise<string> => await run('ssh', [...options, ...args]);
  await ssh(...control, '-o', 'ControlMaster=yes', '-o', 'ControlPersist=600', at, 'true');
  const contestants: Contestant[] = [
    { what: 'ssh SANDBOX true', round: async () => await ssh(at, 'true') },
    { what: 'the same on an open connection', round: async () => await ssh(...control, at, 'true') },
    ...containers.map((one) => ({ what: `${one.client} exec true`, round: async () => await one.exec('true') })),
  ];
  const figures = await inTurns(lab, contestants, { rounds: lab.rounds, warmUp: 3 });
  await ssh(...control, '-O', 'exit', at);
  return figures;
}

async function copies(lab: Lab, { server, sandbox, folder, containers }: Bench): Promise<Figure[]> {
  const large = join(folder, 'large');
  const many = join(folder, 'many');
  const back = join(folder, 'back');
  await makeLargeFile(large);
  await makeManyFiles(many);
  const cp = async (source: string, target: string): Promise<string> =>
    await run(process.execPath, [cliMain, 'sandbox', 'cp', source, target], {
      env: { PATH: process.env['PATH'] ?? '', ...server.clientEnvironment },
      timeoutMs: copyTimeoutMs,
    });
  const id = sandbox.sandboxId;
  const figures: Figure[] = [];
  for (const [name, source] of [
    ['1 GiB', large],
    ['10,000 files', many],
  ] as const) {
    const remote = `/home/user/${name.replaceAll(/\W/g, '')}`;
    const inward: Contestant[] = [
      { what: `soulbox sandbox cp, ${name} in`, round: async () => await cp(source, `${id}:${remote}`) },
      ...containers.map((one) => ({
        what: `${one.client} cp, ${name} in`,
        round: async () => await one.copyIn(source, '/tmp/copied'),
      })),
    ];
    figures.push(...(await inTurns(lab, inward, { rounds: copyRounds, warmUp: 1 })));
    const fresh = (round: () => Promise<unknown>) => async () => {
      await removeTree(back);
      await mkdir(back);
      await round();
    };
    const outward: Contestant[] = [
      { what: `soulbox sandbox cp, ${name} out`, round: fresh(async () => await cp(`${id}:${remote}`, `${back}/`)) },
      ...containers.map((one) => ({
        what: `${one.client} cp, ${name} out`,
        round: fresh(async () => await one.copyOut('/tmp/copied', `${back}/`)),
      })),
    ];
    figures.push(...(await inTurns(lab, outward, { rounds: copyRounds, warmUp: 1 })));
    for (const one of containers) await one.exec('rm', '-rf', '/tmp/copied');
    await sandbox.files.remove(remote);
  }
  return figures;
}

async function inTurns(
  lab: Lab,
  contestants: readonly Contestant[],
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Figure[]> {
  const samples = contestants.map((): number[] => []);
  for (let round = -warmUp; round < rounds; round++)
    for (const [index, { what, round: act }] of contestants.entries()) {
      if (round % 20 === 0) lab.progress(`${what}, round ${round} of ${rounds}`);
      const elapsed = await timeMs(act);
      if (round >= 0) samples[index]?.push(elapsed);
    }
  return contestants.map(({ what }, index) => ({ what, unit: 'ms', samples: samples[index] ?? [] }));
}

/** Without holes. */
async function makeLargeFile(path: string): Promise<void> {
  await using file = await open(path, 'w');
  const part = Buffer.alloc(16 * mib, 'soulbox');
  for (let written = 0; written < largeBytes; written += part.length) await file.write(part);
}

async function makeManyFiles(path: string): Promise<void> {
  const content = Buffer.alloc(fileBytes, 'soulbox');
  for (let at = 0; at < fileCount; at += 1) {
    const folder = join(path, String(at % 100));
    if (at < 100) await mkdir(folder, { recursive: true });
    await writeFile(join(folder, String(at)), content);
  }
}
