import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { envdPort } from '@soulbox/contract';

/** A request to an envd. */
export interface EnvdRequest {
  readonly path: string;
  /** Identifies the sandbox. */
  readonly hostToken: string;
  readonly body: Readonly<Record<string, unknown>> | null;
}

/** A network namespace in which a program answers as the envd of all sandboxes of a bench. */
export interface StandInNamespace {
  readonly path: string;
  /** Sets the response status of a path. 0: the connection is closed. Other paths get 204. */
  answer(path: string, status: number): Promise<void>;
  /** All requests so far, oldest first. */
  requests(): Promise<readonly EnvdRequest[]>;
  /** Forgets all requests and statuses. */
  forget(): Promise<void>;
}

/** One namespace for all benches of a test file. It ends with this process. */
let shared: Promise<StandInNamespace> | undefined;

/** The namespace without earlier requests. */
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
  // One command at a time, so that the next line is its answer.
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
