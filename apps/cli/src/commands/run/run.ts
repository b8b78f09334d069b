import { defineCommand } from 'citty';
import type { Programs } from '@soulbox/envd-client';
import type { ApiConnection } from '../../api/connection.ts';
import { findApi } from '../../api/connection.ts';
import { callApi } from '../../api/call.ts';
import { createPatiently } from '../../api/create-patiently.ts';
import { openEnvd } from '../../api/envd.ts';
import type { ApiSandbox, ApiSandboxDetail } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { onUnread } from '../../output/reader.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { feedInput } from './feed-input.ts';
import { requestFrom } from './run-request.ts';
import type { RunRequest } from './run-request.ts';
import { readTarget } from './read-target.ts';
import type { Target } from './read-target.ts';
import { runAtOnce, runStreamed } from './show.ts';
import { templateFor } from './template-for.ts';
import { upload } from './upload.ts';

/** Added for a sandbox that is created for one run: it must live through the installation too. */
const installSeconds = 600;
const spareSeconds = 60;
/** Any signal that ends this program also ends the sandbox that it has created. */
const leaveSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export const run = defineCommand({
  meta: {
    name: 'run',
    description: 'Run a file or a folder in a sandbox; exits with the exit code of the program',
    examples: [
      'soulbox run script.py -- --verbose',
      'soulbox run ./project --timeout 300 --env MODE=test',
      "echo 'print(6 * 7)' | soulbox run - --language python",
    ],
  },
  args: {
    target: { type: 'positional', required: true, description: 'FILE, DIR, or - for code on standard input' },
    args: {
      type: 'positional',
      required: false,
      description: 'Arguments of the program; put -- before them if they are options',
    },
    language: { type: 'string', description: 'Language of the program (default: detected)', valueHint: 'NAME' },
    runtime: { type: 'string', description: 'Runtime of the program (default: detected)', valueHint: 'NAME' },
    entry: { type: 'string', description: 'The file of DIR to run (default: detected)', valueHint: 'FILE' },
    template: {
      type: 'string',
      description: 'Template of the sandbox (default: base, or runtimes if base cannot run it)',
      valueHint: 'NAME',
    },
    sandbox: { type: 'string', description: 'Run in this existing sandbox and keep it', valueHint: 'ID' },
    keep: { type: 'boolean', description: 'Keep the created sandbox and print its id' },
    env: { type: 'string', description: 'A variable; may be repeated', valueHint: 'NAME=VALUE' },
    timeout: { type: 'string', description: 'Time limit of the program in seconds (default 60)', valueHint: 'SECONDS' },
    memory: { type: 'string', description: 'Memory limit in MiB', valueHint: 'MB' },
    allow: {
      type: 'string',
      description: 'A permission of Deno, such as net or read=/tmp; may be repeated (default: none)',
      valueHint: 'NAME[=WHAT,...]',
    },
    'skip-install': { type: 'boolean', description: 'Do not install the dependencies of the project' },
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print the result as JSON, including the output' },
  },
  async run({ args, rawArgs }) {
    const request = requestFrom(args, rawArgs);
    const target = await readTarget(request.target, request);
    const api = await findApi(args['data-dir']);
    const leaving = new AbortController();
    let left: number = exitCodes.interrupted;
    const leave = (): void => leaving.abort();
    using _ = onUnread(() => {
      left = exitCodes.unread;
      leave();
    });
    for (const signal of leaveSignals) process.once(signal, leave);
    const sandbox = await takeSandbox(api, request, target);
    try {
      const envd = openEnvd(api, sandbox.sandboxID, sandbox.envdAccessToken ?? '');
      return await runThere(api, envd, { request, target, sandbox, signal: leaving.signal });
    } catch (error) {
      if (leaving.signal.aborted) return left;
      throw error;
    } finally {
      for (const signal of leaveSignals) process.off(signal, leave);
      if (request.sandboxId === undefined) await letGo(api, sandbox.sandboxID, request.keep);
    }
  },
});

type Reached = Pick<ApiSandbox | ApiSandboxDetail, 'sandboxID' | 'envdAccessToken'>;

interface There {
  readonly request: RunRequest;
  readonly target: Target;
  readonly sandbox: Reached;
  readonly signal: AbortSignal;
}

async function runThere(
  api: ApiConnection,
  envd: Programs,
  { request, target, sandbox, signal }: There,
): Promise<number> {
  const subject = target.kind === 'code' ? { code: target.code } : await upload(envd, target);
  const body = {
    ...request.body,
    ...subject,
    // The sandbox is new, so the installed packages match the lock file.
    shareDependencies: request.sandboxId === undefined,
  };
  const path = `/sandboxes/${encodeURIComponent(sandbox.sandboxID)}/run`;
  // Standard input may contain the code itself instead of the program's input.
  const hasInput = target.kind !== 'code' || !target.isFromInput;
  if (request.json) return await runAtOnce(api, { path, body, hasInput, signal });
  return await runStreamed(api, {
    path,
    body: { ...body, stdinOpen: hasInput },
    signal,
    onStart: (pid) => (hasInput ? feedInput(envd, pid) : undefined),
  });
}

async function takeSandbox(api: ApiConnection, request: RunRequest, target: Target): Promise<Reached> {
  if (request.sandboxId !== undefined) {
    const path = `/sandboxes/${encodeURIComponent(request.sandboxId)}`;
    return (await callApi<ApiSandboxDetail>(api, { path })).body;
  }
  const timeout = Math.ceil(request.timeoutSeconds) + spareSeconds + (target.kind === 'folder' ? installSeconds : 0);
  const body = { templateID: request.template ?? templateFor(target, request), timeout };
  return (await createPatiently<ApiSandbox>(api, body)).body;
}

async function letGo(api: ApiConnection, sandboxId: string, keep: boolean): Promise<void> {
  if (keep) console.error(`The sandbox is ${sandboxId}.`);
  else await callApi(api, { method: 'DELETE', path: `/sandboxes/${encodeURIComponent(sandboxId)}` });
}
