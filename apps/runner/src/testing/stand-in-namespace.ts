import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { envdPort } from '@soulbox/contract';

/** What an envd was asked. */
export interface EnvdRequest {
  readonly path: string;
  /** Tells whose envd was meant. */
  readonly hostToken: string;
  readonly body: Readonly<Record<string, unknown>> | null;
}

/** A network namespace in which something answers as the envd of all sandboxes of a bench. */
export interface StandInNamespace {
  readonly path: string;
  /** From now on this is what it answers to a path. 0: it hangs up. What is not named gets 204. */
  answer(path: string, status: number): Promise<void>;
  /** All that it was asked, oldest first. */
  requests(): Promise<readonly EnvdRequest[]>;
  /** Of what it was asked and told. */
  forget(): Promise<void>;
}

/** One for all benches of a file: it ends with this process. */
let shared: Promise<StandInNamespace> | undefined;

/** As new: it was asked nothing yet. */
export async function freshNamespace(): Promise<StandInNamespace> {
  shared ??= startNamespace();
  const namespace = await shared;
  await namespace.forget();
  return namespace;
}

async function startNamespace(): Promise<StandInNamespace> {
  const program = fileURLToPath(new URL('./stand-in-envd.mjs', import.meta.url));
  const child = spawn('unshare', ['--net', process.execPath, program, String(envdPort)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.unref();
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  // One command at a time: the next line is its answer.
  let before: Promise<unknown> = Promise.resolve();
  const ask = (command: object): Promise<unknown> => {
    const answer = before.then(async () => {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const { value } = (await lines.next()) as { value: string };
      return JSON.parse(value) as unknown;
    });
    before = answer;
    return answer;
  };
  return {
    path: `/proc/${child.pid ?? 0}/ns/net`,
    answer: async (path, status) => {
      await ask({ answer: { path, status } });
    },
    requests: async () => (await ask({ list: true })) as EnvdRequest[],
    forget: async () => {
      await ask({ forget: true });
    },
  };
}
