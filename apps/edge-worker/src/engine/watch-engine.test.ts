import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FunctionSettings } from '@soulbox/contract/functions';
import { afterEach, expect, test } from 'vitest';
import type { Engine } from './engine.ts';
import { watchEngine } from './watch-engine.ts';

// The engine is a real process, whose memory the kernel tells.
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
/** Waits for a word on its input, so that the test sees its memory before. */
const eats =
  'let all = []; process.stdin.once("data", () => { for (let n = 0; n < 200; n++) all.push(Buffer.alloc(1e6, 1)); });';

test('code that takes more memory than it may is stopped while a request is open', async () => {
  const engine = await startProcess(`${eats} setTimeout(() => process.stdin.emit("data"), 500);`, answers);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.killed[0]).toContain('more than 64 MB');
  expect(watched.watch.killed(engine)).toBe(true);
  await engine.exited;
});

test('code that keeps to its limit is left alone, and nothing is looked at without a request', async () => {
  const engine = await startProcess('setInterval(() => undefined, 1000);', isStuck);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  watched.watch.enter()[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(watched.killed).toEqual([]);
});

test('an event loop that answers nobody is stopped while a request is open', async () => {
  const engine = await startProcess('for (;;);', isStuck);
  const watched = watch(engine);
  await watched.watch.begin(engine);
  using _open = watched.watch.enter();
  await expect.poll(() => watched.killed, { timeout: 10_000 }).toHaveLength(1);
  expect(watched.killed[0]).toContain('answered nobody');
});

test('a suspected engine that answers a ping lives; one that does not is gone before the suspicion resolves', async () => {
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
