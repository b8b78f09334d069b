import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FunctionSettings } from '@soulbox/contract/functions';
import { afterEach, expect, test } from 'vitest';
import type { Engine } from './engine.ts';
import { watchEngine } from './watch-engine.ts';

// The engine is a real process, whose memory is read from the kernel.
const settings: FunctionSettings = {
  ...{ kind: 'edge', source: '', variables: {}, kvBindings: [], memoryMb: 64, maxBodyBytes: 1000 },
  ...{ requestTimeoutMs: 300, compatibilityDate: '2025-01-01', compatibilityFlags: [] },
};
const running: Engine[] = [];
afterEach(() => running.splice(0).forEach((engine) => engine.kill()));

async function startProcess(code: string, ping: Engine['ping']): Promise<Engine> {
  const child = spawn(process.execPath, ['-e', `console.log('up'); ${code}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  let gone = false;
  const engine: Engine = {
    ...{ pid: child.pid ?? 0, requests: '', ping, exited: once(child, 'exit').then(() => undefined) },
    get gone() {
      return gone;
    },
    kill: () => {
      gone = true;
      child.kill('SIGKILL');
    },
  };
  running.push(engine);
  return engine;
}

function watch(engine: Engine): { readonly killed: string[]; readonly watch: ReturnType<typeof watchEngine> } {
  const killed: string[] = [];
  const kill = (_engine: Engine, why: string): void => {
    killed.push(why);
    engine.kill();
  };
  return { killed, watch: watchEngine({ engine: () => engine, settings: () => settings, kill }) };
}

const answers = (): Promise<void> => Promise.resolve();
const isStuck = (): Promise<void> => new Promise(() => undefined);
/** Waits for input, so that the test can read its memory first. */
const eats =
  'let all = []; process.stdin.once("data", () => { for (let n = 0; n < 200; n++) all.push(Buffer.alloc(1e6, 1)); });';

test('code that uses more memory than its limit is stopped while a request is open', async () => {
  const engine = await startProcess(`${eats} setTimeout(() => process.stdin.emit("data"), 500);`, answers);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.killed[0]).toContain('more than 64 MB');
  expect(watched.watch.killed(engine)).toBe(true);
  await engine.exited;
});

test('code within its limit is left alone, and nothing is measured without a request', async () => {
  const engine = await startProcess('setInterval(() => undefined, 1000);', isStuck);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  watched.watch.enter()[Symbol.dispose]();
  await sleep(1500);
  expect(watched.killed).toEqual([]);
});

test('a blocked event loop is stopped while a request is open', async () => {
  const engine = await startProcess('for (;;);', isStuck);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.killed[0]).toContain('blocked the CPU');
});

test('a suspected engine lives if it answers a ping; otherwise it is gone before the suspicion resolves', async () => {
  const alive = await startProcess('setInterval(() => undefined, 1000);', answers);
  const first = watch(alive);
  await first.watch.suspect();
  expect(first.killed).toEqual([]);
  const stuck = await startProcess('for (;;);', isStuck);
  const second = watch(stuck);
  await second.watch.suspect();
  expect(second.killed).toHaveLength(1);
  expect(stuck.gone).toBe(true);
});
