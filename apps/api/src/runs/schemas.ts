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
    code: text(runLimits.codeBytes).optional().describe('What to run, itself.'),
    file: path.optional().describe('Path of a file in the sandbox; a relative one begins at `cwd`.'),
    project: path.optional().describe('Path of a folder in the sandbox, as for `file`.'),
    entry: path.optional().describe('The file of the project that is run. Absent: the project decides.'),
    language: z.enum(languages).optional().describe('Absent: found out from name, first line and project files.'),
    runtime: z.enum(runtimeNames).optional().describe('Absent: found out.'),
    args: z.array(text(runLimits.argBytes)).max(runLimits.args).default([]),
    stdin: text(runLimits.stdinBytes).optional().describe('All of its standard input. Absent: it has none.'),
    stdinOpen: z
      .boolean()
      .default(false)
      .describe('Its input stays open: feed the pid of `started` through envd. Streamed answers only.'),
    envVars: stringMap(envLimits, 'Added to the environment of the sandbox.')
      .refine((map) => Object.keys(map).every((name) => !name.includes('=')), 'must not have a name that contains =')
      .default({}),
    cwd: path.optional().describe("Working folder. Absent: the project, the file's folder, or the default folder."),
    user: z.string().min(1).max(256).optional().describe("Absent: the sandbox's default user."),
    timeout: z
      .number()
      .min(0.001)
      .max(runLimits.streamedSeconds)
      .default(60)
      .describe(`Seconds after which it is killed. Above ${runLimits.answeredSeconds} in streamed answers only.`),
    memoryMB: z
      .int()
      .min(runLimits.memoryMbMin)
      .max(runLimits.memoryMbMax)
      .optional()
      .describe('Mebibytes that its processes may hold together; above they are killed. Absent: those of the sandbox.'),
    outputLimit: z
      .int()
      .min(0)
      .max(runLimits.streamedOutputBytes)
      .optional()
      .describe('Bytes of stdout, and of stderr, that are passed on; the rest is dropped and the answer says so.'),
    encoding: z.enum(['utf8', 'base64']).default('utf8').describe('How output stands in the answer.'),
    permissions: z
      .partialRecord(z.enum(permissionNames), permission)
      .default({})
      .describe('What Deno allows: true, or a list of what. Absent: nothing. Other runtimes have no permissions.'),
    install: z.boolean().default(true).describe("Whether a project's dependencies are installed first."),
    shareDependencies: z
      .boolean()
      .default(false)
      .describe(
        'Whether installed dependencies are taken from and kept for other sandboxes of the team. Only for sandboxes ' +
          'whose code you would also trust in those.',
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
  sureness: z.number().describe('0 to 1.'),
  reasons: z.array(z.string()).describe('Why it was chosen; the first decided.'),
};

const ended = {
  exitCode: z.int().nullable().describe('Null when a signal ended it.'),
  signal: z.string().nullable().describe('Such as SIGKILL.'),
  timedOut: z.boolean(),
  memoryExceeded: z.boolean(),
  stdoutTruncated: z.boolean(),
  stderrTruncated: z.boolean(),
  dependencies: z
    .enum(['none', 'skipped', 'present', 'cache', 'installed'])
    .describe('Where the dependencies of a project came from.'),
  timings: z
    .object({ detectMs: z.number(), prepareMs: z.number(), executeMs: z.number() })
    .describe('Milliseconds, the way into the sandbox included.'),
  peakMemoryBytes: z.number().nullable().describe('Of its largest process. Null where it cannot be measured.'),
};

export const runResultSchema = z
  .object({ ...detected, ...ended, stdout: z.string(), stderr: z.string() })
  .meta({ id: 'RunResult', description: 'A program that ended, however it ended.' });

export type RunResult = z.infer<typeof runResultSchema>;

/** One line of a streamed answer. */
export const runEventSchema = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('detected'), ...detected }).describe('First of all.'),
    z.object({ type: z.literal('log'), text: z.string() }).describe('What the installation of dependencies prints.'),
    z.object({ type: z.literal('started'), pid: z.int().describe('For `process.Process` of envd.') }),
    z.object({ type: z.literal('stdout'), data: z.string() }),
    z.object({ type: z.literal('stderr'), data: z.string() }),
    z.object({ type: z.literal('keepalive') }).describe('Means nothing; sent while nothing else is.'),
    z.object({ type: z.literal('result'), ...ended }).describe('Last of all.'),
    z.object({ type: z.literal('error'), code: z.int(), message: z.string() }).describe('Last, instead of a result.'),
  ])
  .meta({ id: 'RunEvent' });

export type RunEvent = z.infer<typeof runEventSchema>;
export type RunDetected = Omit<Extract<RunEvent, { type: 'detected' }>, 'type'>;
export type RunEnded = Omit<Extract<RunEvent, { type: 'result' }>, 'type'>;
