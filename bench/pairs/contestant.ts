import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { askResident, fillMemory } from '../resident.ts';
import { timeMs } from '../time.ts';

/** Milliseconds by what was done. */
export type Samples = Record<string, number[]>;

/** One of two servers that are compared. */
export interface Contestant {
  /** Does everything once. Forks into ten copies only in every third round, because they take long to end. */
  round(round: number): Promise<Readonly<Record<string, number>>>;
}

/** Memory of the sandbox that is forked, and of the one that is paused. */
const forkedMb = 100;
const pausedMb = 10;
/** So that the pool is full again and the work behind an answer has ended. */
const restMs = 1500;
const timeoutMs = 3_600_000;

export async function openContestant(server: ServerProcess): Promise<Contestant> {
  const variable = (name: string): string => server.clientEnvironment[name] ?? '';
  const [apiUrl, sandboxUrl, apiKey] = [variable('E2B_API_URL'), variable('E2B_SANDBOX_URL'), variable('E2B_API_KEY')];
  const connection = { apiUrl, sandboxUrl, apiKey, timeoutMs };
  const createFilled = async (mb: number): Promise<Sandbox> => {
    const sandbox = await Sandbox.create('base', connection);
    await fillMemory(sandbox, sandboxUrl, mb);
    return sandbox;
  };
  const [forked, paused] = [await createFilled(forkedMb), await createFilled(pausedMb)];

  const timeFork = async (count: number): Promise<number> => {
    let copies: readonly Sandbox[] = [];
    const ms = await timeMs(async () => {
      // A copy that could not be made is an Error in the list.
      copies = (await forked.fork({ count, timeoutMs })).map((copy) => {
        if (copy instanceof Error) throw copy;
        return copy;
      });
      await Promise.all(copies.map(async ({ sandboxId }) => await askResident(sandboxUrl, sandboxId)));
    });
    await Promise.all(copies.map(async (copy) => await copy.kill()));
    await sleep(restMs);
    return ms;
  };
  const resume = async (): Promise<void> => {
    await paused.connect({ timeoutMs });
    await askResident(sandboxUrl, paused.sandboxId);
  };
  const pauseInBackground = async (): Promise<void> => {
    const response = await fetch(`${apiUrl}/sandboxes/${paused.sandboxId}/pause`, {
      method: 'POST',
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      body: JSON.stringify({ durability: 'in-background' }),
    });
    if (!response.ok) throw new Error(`The background pause returned ${response.status}.`);
  };

  return {
    async round(round) {
      const found: Record<string, number> = {};
      let sandbox: Sandbox | undefined;
      found['create'] = await timeMs(async () => (sandbox = await Sandbox.create('base', connection)));
      found['first command'] = await timeMs(async () => await sandbox?.commands.run('true'));
      found['second command'] = await timeMs(async () => await sandbox?.commands.run('true'));
      found['list'] = await timeMs(async () => await Sandbox.list(connection).nextItems());
      found['kill'] = await timeMs(async () => await sandbox?.kill());
      await sleep(restMs);
      found['fork, 1 copy'] = await timeFork(1);
      if (round % 3 === 0) found['fork, 10 copies'] = await timeFork(10);
      found['pause'] = await timeMs(async () => await paused.pause());
      found['resume'] = await timeMs(resume);
      await sleep(restMs);
      found['background pause'] = await timeMs(pauseInBackground);
      await sleep(restMs / 2);
      found['resume during its background save'] = await timeMs(resume);
      await sleep(restMs);
      return found;
    },
  };
}
