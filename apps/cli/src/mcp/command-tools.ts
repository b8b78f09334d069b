import { Code, ConnectError } from '@connectrpc/connect';
import { z } from 'zod';
import { errorFromEnvd } from '@soulbox/envd-client';
import type { ProgramEnd } from '@soulbox/envd-client';
import { languages } from '@soulbox/runtimes';
import { callApi } from '../api/call.ts';
import type { ApiRunResult } from '../api/wire.ts';
import { createClip } from './clip.ts';
import { defaultUser, openSandbox } from './open-sandbox.ts';
import { addTool, inPath, sandboxIdInput } from './tool.ts';
import type { ToolContext, ToolOutcome } from './tool.ts';

/** A model's context is small: more output than this only pushes out what it knows. */
const outputMax = 1024 * 1024;
const outputDefault = 32 * 1024;
const outputInput = z
  .int()
  .min(1024)
  .max(outputMax)
  .default(outputDefault)
  .describe('Limit of each output in bytes; the middle of a longer one is left out');
const userInput = z
  .string()
  .min(1)
  .max(256)
  .default(defaultUser)
  .describe('The user inside who runs it; root is possible');

export function addCommandTools(context: ToolContext): void {
  const { api } = context;
  addTool(context, 'command_run', {
    title: 'Run a command',
    description:
      'Runs a shell command (bash) in a sandbox, waits for its end and returns its outputs and its exit code. ' +
      'For a server that must continue, set background and redirect its output to a file.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      command: z.string().min(1).max(131_072).describe('For bash -l -c'),
      cwd: z.string().min(1).max(4096).optional().describe('Working directory (default: the home of the user)'),
      envs: z.record(z.string().max(200), z.string().max(32_768)).optional().describe('Further variables'),
      user: userInput,
      stdin: z.string().max(outputMax).optional().describe('The whole standard input (default: none)'),
      timeoutSeconds: z.number().min(1).max(3600).default(60).describe('The command is killed after this time'),
      background: z
        .boolean()
        .default(false)
        .describe('Return its pid at once and let it continue; timeoutSeconds and stdin do not apply'),
      maxOutputBytes: outputInput,
    }),
    hints: { destructiveHint: true, openWorldHint: true },
    async run({ sandboxId, command, cwd, envs, user, stdin, timeoutSeconds, background, maxOutputBytes }, signal) {
      const { programs } = await openSandbox(api, sandboxId, user);
      const program = {
        ...{ command: '/bin/bash', args: ['-l', '-c', command], user },
        ...(cwd === undefined ? {} : { cwd }),
        ...(envs === undefined ? {} : { env: envs }),
      };
      if (background) {
        const pid = await programs.startDetached(program).catch(rethrow);
        return { value: { pid }, text: `Started with pid ${pid}.` };
      }
      const output = { stdout: createClip(maxOutputBytes), stderr: createClip(maxOutputBytes) };
      const input = stdin === undefined ? {} : { stdin: Buffer.from(stdin) };
      const outcome = await programs
        .run({ ...program, ...input, timeoutMs: timeoutSeconds * 1000, signal }, (channel, bytes) =>
          output[channel].add(bytes),
        )
        .catch((error: unknown) => {
          if (ConnectError.from(error).code !== Code.DeadlineExceeded) throw errorFromEnvd(error);
          return { exitCode: -1, status: `killed after ${timeoutSeconds} s` };
        });
      return describe(outcome, { stdout: output.stdout.text(), stderr: output.stderr.text() });
    },
  });

  addTool(context, 'code_run', {
    title: 'Run code',
    description:
      'Runs source code in a sandbox and returns its outputs and its exit code. Each run is a program of its own: nothing stays in memory between two runs.',
    input: z.strictObject({
      sandboxId: sandboxIdInput,
      code: z.string().min(1).max(1_000_000),
      language: z.enum(languages).optional().describe('Default: detected from the code'),
      args: z.array(z.string().max(4096)).max(100).default([]).describe('Arguments of the program'),
      stdin: z.string().max(outputMax).optional().describe('The whole standard input (default: none)'),
      timeoutSeconds: z.number().min(1).max(300).default(60).describe('The program is killed after this time'),
      maxOutputBytes: outputInput,
    }),
    hints: { destructiveHint: true, openWorldHint: true },
    async run({ sandboxId, code, language, args, stdin, timeoutSeconds, maxOutputBytes }, signal) {
      const body = { code, language, args, stdin, timeout: timeoutSeconds };
      const path = `/sandboxes/${inPath(sandboxId)}/run`;
      const result = (await callApi<ApiRunResult>(api, { method: 'POST', path, body, signal })).body;
      const { exitCode, signal: killedBy, timedOut, memoryExceeded, runtime } = result;
      const clipped = (text: string): string => {
        const clip = createClip(maxOutputBytes);
        clip.add(Buffer.from(text));
        return clip.text();
      };
      const status = timedOut
        ? `killed after ${timeoutSeconds} s`
        : memoryExceeded
          ? 'killed: it used more memory than its limit'
          : killedBy === null
            ? `exit status ${exitCode}`
            : `signal: ${killedBy}`;
      const outputs = { stdout: clipped(result.stdout), stderr: clipped(result.stderr) };
      return describe({ exitCode: exitCode ?? -1, status }, outputs, { runtime });
    },
  });
}

function rethrow(error: unknown): never {
  throw errorFromEnvd(error);
}

function describe(
  { exitCode, status }: ProgramEnd,
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
  more: Readonly<Record<string, unknown>> = {},
): ToolOutcome {
  const parts = [exitCode === 0 ? '' : `[${status}]\n`, stdout, stderr === '' ? '' : `\n[stderr]\n${stderr}`];
  const text = parts.join('');
  return { value: { exitCode, status, stdout, stderr, ...more }, text: text === '' ? '[no output]' : text };
}
