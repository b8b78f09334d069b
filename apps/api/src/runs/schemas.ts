import { languages, permissionNames, runtimeNames } from '@soulbox/runtimes';
import { z } from 'zod';
import { envLimits, runLimits } from '../limits.ts';
import { stringMap } from '../http/string-map.ts';

const text = (maxBytes: number) =>
  z
    .string()
    .refine(
      (value) => value.isWellFormed() && !value.includes('\0'),
      'must not contain a NUL or a broken surrogate pair',
    )
    .refine((value) => Buffer.byteLength(value) <= maxBytes, `is larger than ${maxBytes} bytes`);

const path = text(runLimits.pathBytes).refine((value) => value !== '', 'must not be empty');

const permission = z.union([
  z.boolean(),
  z
    .array(
      text(runLimits.pathBytes).refine((value) => value !== '' && !value.includes(','), 'must not contain a comma'),
    )
    .max(runLimits.permissionEntries),
]);

/** `POST /sandboxes/{sandboxID}/run` */
export const runSchema = z
  .strictObject({
    code: text(runLimits.codeBytes).optional().describe('The source code to run.'),
    file: path.optional().describe('Path of a file in the sandbox. Relative paths start at `cwd`.'),
    project: path.optional().describe('Path of a directory in the sandbox. Relative paths start at `cwd`.'),
    entry: path.optional().describe("The file of the project to run. Default: the project's own entry point."),
    language: z
      .enum(languages)
      .optional()
      .describe('Default: detected from the name, the first line and the project files.'),
    runtime: z.enum(runtimeNames).optional().describe('Default: detected.'),
    args: z.array(text(runLimits.argBytes)).max(runLimits.args).default([]),
    stdin: text(runLimits.stdinBytes).optional().describe('The complete standard input of the program. Default: none.'),
    stdinOpen: z
      .boolean()
      .default(false)
      .describe(
        'Keeps standard input open: send input to the pid of `started` through envd. For streamed responses only.',
      ),
    envVars: stringMap(envLimits, 'Added to the environment of the sandbox.')
      .refine((map) => Object.keys(map).every((name) => !name.includes('=')), 'must not have a name that contains =')
      .default({}),
    cwd: path
      .optional()
      .describe('Working directory. Default: the project, the directory of the file, or the default directory.'),
    user: z.string().min(1).max(256).optional().describe('Default: the default user of the sandbox.'),
    timeout: z
      .number()
      .min(0.001)
      .max(runLimits.streamedSeconds)
      .default(60)
      .describe(
        `Seconds after which the program is killed. More than ${runLimits.answeredSeconds} for streamed responses only.`,
      ),
    memoryMB: z
      .int()
      .min(runLimits.memoryMbMin)
      .max(runLimits.memoryMbMax)
      .optional()
      .describe(
        'Memory limit in MiB of all its processes together; they are killed when they exceed it. Default: the memory of the sandbox.',
      ),
    outputLimit: z
      .int()
      .min(0)
      .max(runLimits.streamedOutputBytes)
      .optional()
      .describe(
        'Maximum bytes of stdout, and of stderr, that are returned. Excess output is discarded, and the response says so.',
      ),
    encoding: z.enum(['utf8', 'base64']).default('utf8').describe('Encoding of output in the response.'),
    permissions: z
      .partialRecord(z.enum(permissionNames), permission)
      .default({})
      .describe('Permissions for Deno: true, or a list. Default: none. Other runtimes have no permissions.'),
    install: z.boolean().default(true).describe('Whether the dependencies of a project are installed before it runs.'),
    shareDependencies: z
      .boolean()
      .default(false)
      .describe(
        'Whether installed dependencies are shared with other sandboxes of the team. Use it only for sandboxes ' +
          'whose code you would also trust in the others.',
      ),
  })
  .refine(
    ({ code, file, project }) => [code, file, project].filter((one) => one !== undefined).length === 1,
    'Exactly one of code, file and project must be given.',
  )
  .refine(({ entry, project }) => entry === undefined || project !== undefined, 'entry requires project.')
  .refine(({ stdin, stdinOpen }) => stdin === undefined || !stdinOpen, 'Give stdin or stdinOpen, not both.')
  .meta({ id: 'Run' });

export type Run = z.infer<typeof runSchema>;

const detected = {
  runtime: z.enum(runtimeNames),
  language: z.enum(languages),
  sureness: z.number().describe('Confidence, 0 to 1.'),
  reasons: z.array(z.string()).describe('Why the runtime was chosen. The first reason decided.'),
};

const ended = {
  exitCode: z.int().nullable().describe('Exit code; null if a signal ended the program.'),
  signal: z.string().nullable().describe('Signal that ended the program, such as SIGKILL; null if it exited.'),
  timedOut: z.boolean(),
  memoryExceeded: z.boolean(),
  stdoutTruncated: z.boolean(),
  stderrTruncated: z.boolean(),
  dependencies: z
    .enum(['none', 'skipped', 'present', 'cache', 'installed'])
    .describe('Where the dependencies of a project came from.'),
  timings: z
    .object({ detectMs: z.number(), prepareMs: z.number(), executeMs: z.number() })
    .describe('Milliseconds, including the connection into the sandbox.'),
  peakMemoryBytes: z.number().nullable().describe('Peak memory of its largest process. Null if it cannot be measured.'),
};

export const runResultSchema = z
  .object({ ...detected, ...ended, stdout: z.string(), stderr: z.string() })
  .meta({ id: 'RunResult', description: 'Result of a finished program.' });

export type RunResult = z.infer<typeof runResultSchema>;

/** One line of a streamed response. */
export const runEventSchema = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('detected'), ...detected }).describe('The first event.'),
    z.object({ type: z.literal('log'), text: z.string() }).describe('Output of the installation of dependencies.'),
    z.object({
      type: z.literal('started'),
      pid: z.int().describe('Process id, for calls of `process.Process` of envd.'),
    }),
    z.object({ type: z.literal('stdout'), data: z.string() }),
    z.object({ type: z.literal('stderr'), data: z.string() }),
    z.object({ type: z.literal('keepalive') }).describe('Keep-alive, sent while there is no other event.'),
    z.object({ type: z.literal('result'), ...ended }).describe('The last event of a finished program.'),
    z
      .object({ type: z.literal('error'), code: z.int(), message: z.string() })
      .describe('The last event if the run failed, instead of a result.'),
  ])
  .meta({ id: 'RunEvent' });

export type RunEvent = z.infer<typeof runEventSchema>;
export type RunDetected = Omit<Extract<RunEvent, { type: 'detected' }>, 'type'>;
export type RunEnded = Omit<Extract<RunEvent, { type: 'result' }>, 'type'>;
