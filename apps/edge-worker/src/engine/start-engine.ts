import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { FunctionSettings } from '@soulbox/contract/functions';
import { parseLine } from '../log/parse-line.ts';
import { readLines } from '../log/read-lines.ts';
import type { FunctionLog } from '../log/function-log.ts';
import type { KvBindings } from '../link/kv-bindings.ts';
import { prepareEdge } from './edge.ts';
import { EngineFault } from './engine.ts';
import type { Engine, EnginePaths, EngineProgram } from './engine.ts';
import { createOpenRequests } from './open-requests.ts';
import { findAccount } from './account.ts';
import { prepareWorkerd } from './workerd.ts';

/** Code that takes longer than this for its own start never serves. */
const startTimeoutMs = 5_000;
const firstLookMs = 4;
const lookEveryMs = 10;
const runFolder = '/run/soulbox-function';
const prepare = { workers: prepareWorkerd, edge: prepareEdge } as const;
let starts = 0;

/** Starts an engine and waits until it serves. Otherwise throws `EngineFault` with the message of the code. */
export async function startEngine(settings: FunctionSettings, log: FunctionLog, kv: KvBindings): Promise<Engine> {
  starts += 1;
  const account = await findAccount();
  const folder = join(runFolder, String(starts));
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await chown(folder, account.uid, account.gid);
  const sockets = await kv.open(folder, settings.kvBindings, account);
  const paths: EnginePaths = {
    folder,
    requests: join(folder, 'requests.sock'),
    ping: join(folder, 'ping.sock'),
    kv: sockets.paths,
  };
  const program = await prepare[settings.kind](settings, paths);
  const said: string[] = [];
  const engine = spawnEngine(program, paths, account, (line) => {
    const parsed = parseLine(line);
    log.add(parsed);
    if (parsed.level === 'error' && said.length < 5) said.push(parsed.message);
  });
  void engine.exited.then(async () => {
    sockets.close();
    await rm(folder, { recursive: true, force: true });
  });
  await waitUntilServing(engine, said);
  if (program.configFile !== undefined) await rm(program.configFile, { force: true });
  return engine;
}

function spawnEngine(
  program: EngineProgram,
  paths: EnginePaths,
  account: { readonly uid: number; readonly gid: number },
  take: (line: string) => void,
): Engine {
  const child = spawn(program.command, program.args, {
    cwd: paths.folder,
    uid: account.uid,
    gid: account.gid,
    env: {},
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let gone = false;
  const exited = Promise.race([once(child, 'exit'), once(child, 'error')]).then(
    () => {
      gone = true;
    },
    () => {
      gone = true;
    },
  );
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.stdin.end(program.input);
  readLines(child.stdout, take);
  // workerd writes here why a module is invalid, in its log format. Other lines are the addresses of a crash.
  readLines(child.stderr, (line) => {
    if (line.startsWith('{')) take(line);
  });
  const kill = (): void => {
    gone = true;
    child.kill('SIGKILL');
  };
  return {
    pid: child.pid ?? 0,
    requests: paths.requests,
    ping: () => ping(paths.ping),
    exited,
    get gone() {
      return gone;
    },
    ...createOpenRequests(kill),
    kill,
  };
}

async function waitUntilServing(engine: Engine, said: readonly string[]): Promise<void> {
  const giveUpAt = performance.now() + startTimeoutMs;
  for (let waitMs = firstLookMs; performance.now() < giveUpAt; waitMs = lookEveryMs) {
    const left = giveUpAt - performance.now();
    const answered = await Promise.race([
      engine.ping().then(
        () => 'serving' as const,
        () => 'closed' as const,
      ),
      engine.exited.then(() => 'exited' as const),
      pause(left).then(() => 'late' as const),
    ]);
    if (answered === 'serving') return;
    if (answered === 'exited' || engine.gone) {
      // The last output of a process may arrive after its exit.
      await pause(50);
      throw new EngineFault(`The function could not be started: ${said.join('\n') || 'its engine ended immediately'}`);
    }
    await pause(waitMs);
  }
  engine.kill();
  throw new EngineFault(
    `The function could not be started: its module did not finish within ${startTimeoutMs / 1000} seconds`,
  );
}

async function ping(socketPath: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const outgoing = request({ socketPath, path: '/', agent: false, headers: { host: 'ping' } });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      response.resume();
      resolve();
    });
    outgoing.end();
  });
}
