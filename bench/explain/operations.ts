import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import type { ServerProcess } from '@soulbox/testing';
import { ask, deploy, keepingAgent, remove, targetAt } from '../function-client.ts';
import type { Lab } from '../lab.ts';
import { connectionTo, pauseInBackground } from '../lab.ts';
import { askResident, fillMemory, settleMs } from '../resident.ts';

/** One operation that can be repeated, with what comes before and after each time, which is not explained. */
export interface ExplainedOperation {
  readonly server: ServerProcess;
  readonly before?: () => Promise<void>;
  readonly act: () => Promise<void>;
  readonly after?: () => Promise<void>;
}

export const explainedNames = [
  ...(['boot', 'create', 'pause', 'resume', 'fork'] as const),
  ...(['first', 'spare', 'command', 'list', 'hold', 'thaw', 'kill'] as const),
  ...(['deploy', 'request'] as const),
] as const;
export type ExplainedName = (typeof explainedNames)[number];

export const isExplainedName = (name: string): name is ExplainedName => explainedNames.some((known) => known === name);

/** One is too short to be seen by its samples. */
const commandsPerRound = 20;
const listsPerRound = 20;
const requestsPerRound = 200;

/** MiB that the sandbox has resident in a pause, a resume and a fork. */
const residentMb = 10;

/** On the server without spares, so that a create does its work then; `spare` on the one with spares. */
export async function prepareOperation(lab: Lab, name: ExplainedName): Promise<ExplainedOperation> {
  if (name === 'spare') return createFromPool(lab);
  if (name === 'deploy' || name === 'request') return await prepareFunction(lab, name);
  const server = await lab.cold();
  const { sandboxUrl } = connectionTo(server);
  const rest = async (): Promise<void> => await lab.quiet(server);
  if (name === 'boot' || name === 'create' || name === 'first') {
    const made: Sandbox[] = [];
    let snapshot = name === 'create' ? await makeSnapshot(lab) : undefined;
    return {
      server,
      before: async () => {
        if (name === 'first') snapshot = await makeSnapshot(lab);
        await rest();
      },
      act: async () => void made.push(await lab.create(server, snapshot)),
      after: async () => {
        for (const sandbox of made.splice(0)) await sandbox.kill();
      },
    };
  }
  if (name === 'kill') return killOf(lab, server, rest);
  const sandbox = await lab.create(server);
  if (name === 'list')
    return {
      server,
      act: async () => {
        for (let n = 0; n < listsPerRound; n++) await Sandbox.list(connectionTo(server)).nextItems();
      },
    };
  if (name === 'command')
    return {
      server,
      act: async () => {
        for (let n = 0; n < commandsPerRound; n++) await sandbox.commands.run('true');
      },
    };
  await fillMemory(sandbox, sandboxUrl, residentMb);
  const resume = async (): Promise<void> => {
    await sandbox.connect();
    await askResident(sandboxUrl, sandbox.sandboxId);
  };
  const pause = async (): Promise<void> => {
    await sandbox.pause();
  };
  const hold = async (): Promise<void> => await pauseInBackground(server, sandbox.sandboxId);
  if (name === 'pause') return { server, before: rest, act: pause, after: resume };
  if (name === 'hold') return { server, before: rest, act: hold, after: resume };
  if (name === 'thaw')
    return {
      server,
      before: async () => {
        await hold();
        // Until it is saved: an earlier resume would wait for that.
        await sleep(settleMs(residentMb));
      },
      act: resume,
      after: rest,
    };
  if (name === 'resume')
    return {
      server,
      before: async () => {
        await pause();
        await rest();
      },
      act: resume,
    };
  const copies: Sandbox[] = [];
  return {
    server,
    before: rest,
    act: async () => {
      const [copy] = await sandbox.fork({ count: 1, timeoutMs: 600_000 });
      if (!(copy instanceof Sandbox)) throw copy ?? new Error('There is no copy.');
      copies.push(copy);
      await askResident(sandboxUrl, copy.sandboxId);
    },
    after: async () => {
      for (const copy of copies.splice(0)) await copy.kill();
    },
  };
}

function killOf(lab: Lab, server: ServerProcess, rest: () => Promise<void>): ExplainedOperation {
  const made: Sandbox[] = [];
  return {
    server,
    before: async () => {
      made.push(await lab.create(server));
      await rest();
    },
    act: async () => {
      for (const sandbox of made.splice(0)) await sandbox.kill();
    },
  };
}

/** A create and its first command. */
function createFromPool(lab: Lab): ExplainedOperation {
  const made: Sandbox[] = [];
  return {
    server: lab.warm,
    before: async () => await lab.quiet(lab.warm),
    act: async () => {
      const sandbox = await lab.create(lab.warm);
      made.push(sandbox);
      await sandbox.commands.run('echo ready');
    },
    after: async () => {
      for (const sandbox of made.splice(0)) await sandbox.kill();
    },
  };
}

/** The deployment of a function until its first answer, or requests to it one after the other. */
async function prepareFunction(lab: Lab, name: 'deploy' | 'request'): Promise<ExplainedOperation> {
  const { warm: server } = lab;
  const target = targetAt(server);
  if (name === 'deploy')
    return {
      server,
      before: async () => await lab.quiet(server),
      act: async () => {
        await deploy(server);
        await ask(target);
      },
      after: async () => await remove(server),
    };
  await deploy(server);
  const agent = keepingAgent();
  const stack = new AsyncDisposableStack();
  stack.use(agent);
  lab.use(stack);
  return {
    server,
    act: async () => {
      for (let n = 0; n < requestsPerRound; n++) await ask(target, agent);
    },
  };
}

async function makeSnapshot(lab: Lab): Promise<string> {
  const source = await lab.create(await lab.cold());
  const { snapshotId } = await source.createSnapshot();
  await source.kill();
  return snapshotId;
}
