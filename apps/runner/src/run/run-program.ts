import { posix } from 'node:path';
import { randomId, SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client';
import { emptyFolder, getRuntime } from '@soulbox/runtimes';
import type { Detection, Execution, Folder } from '@soulbox/runtimes';
import { isTenants, looksPaused, sandboxNotFound } from '../registry/table.ts';
import { chooseRuntime } from './choose.ts';
import type { RunContext } from './context.ts';
import type { Emit } from './event-stream.ts';
import { execute } from './execute.ts';
import type { RunEvent } from './run-event.ts';
import type { RunRequest } from './run-request.ts';
import { inspectCode, inspectFile, inspectProject } from './inspect.ts';
import type { RunSession } from './run-session.ts';
import { getFile, getFolder, openRunSession, pathFrom } from './run-session.ts';
import { prepareProject } from './prepare.ts';
import type { Dependencies } from './prepare.ts';

/** Code, a file or a project in the sandbox. */
interface Subject {
  readonly detection: Detection;
  /** The file to run. Undefined: the project decides. */
  readonly file: string | undefined;
  readonly project: { readonly path: string; readonly folder: Folder } | undefined;
  readonly cwd: string;
  /** A file that was written only for this run. */
  readonly written: string | undefined;
}

/**
 * Runs one program in a sandbox: inspects it, installs its dependencies, executes it. An abort of `left` kills it. When
 * the sandbox is paused or killed meanwhile, the run ends with an error that says so.
 */
export async function runProgram(
  context: RunContext,
  request: RunRequest,
  emit: Emit<RunEvent>,
  left: AbortSignal,
): Promise<void> {
  const { sandboxId } = request;
  await context.router.wake(sandboxId);
  const sandbox = context.table.getRunning(sandboxId);
  using _use = context.activity.enter(sandboxId);
  using session = openRunSession(sandbox, request.user);
  const gone = new AbortController();
  const stopListening = context.router.onGone((goneId) => {
    if (goneId !== sandboxId) return;
    gone.abort();
    session[Symbol.dispose]();
  });
  try {
    await runIn(context, session, request, emit, left);
  } catch (error) {
    throw gone.signal.aborted ? await goneError(context, sandboxId, error) : error;
  } finally {
    stopListening();
  }
}

async function runIn(
  context: RunContext,
  session: RunSession,
  request: RunRequest,
  emit: Emit<RunEvent>,
  left: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const subject = await inspectSubject(session, request, left);
  const reportPath = `/tmp/.soulbox-run-${randomId(24)}`;
  try {
    const detectMs = performance.now() - startedAt;
    await emit({ kind: 'detected', detection: subject.detection });
    const preparedAt = performance.now();
    const dependencies = await prepare(context, session, request, subject, emit, left);
    const prepareMs = performance.now() - preparedAt;
    const { cwd } = subject;
    const outcome = await execute(
      {
        session,
        request,
        cwd,
        detection: subject.detection,
        execution: executionOf(subject, request),
        left,
        reportPath,
      },
      emit,
    );
    await emit({ kind: 'done', outcome, dependencies, detectMs, prepareMs });
    context.logBook.write(request.sandboxId, 'program run', { runtime: subject.detection.runtime });
  } finally {
    const written = [reportPath, subject.written].filter((path) => path !== undefined);
    await Promise.all(written.map(async (path) => await session.files.remove(path).catch(() => undefined)));
  }
}

async function inspectSubject(session: RunSession, request: RunRequest, left: AbortSignal): Promise<Subject> {
  const base = await getFolder(session.files, request.cwd);
  const { kind, value } = request.subject;
  if (kind === 'code') return await writeCode(session, request, base, left);
  if (kind === 'file') {
    const file = await getFile(session.files, pathFrom(base, value));
    const detection = await chooseRuntime(session, await inspectFile(session.files, file, request.language), request);
    checkPermissions(detection, request);
    return { detection, file, project: undefined, cwd: cwdOf(request, base, posix.dirname(file)), written: undefined };
  }
  return await inspectWhole(session, request, base);
}

async function writeCode(session: RunSession, request: RunRequest, base: string, left: AbortSignal): Promise<Subject> {
  const code = request.subject.value;
  const detection = await chooseRuntime(session, inspectCode(code, request.language), request);
  checkPermissions(detection, request);
  const codeFile = getRuntime(detection.runtime).codeFile(detection.language);
  if (codeFile === undefined) {
    throw new SoulBoxError(
      'bad_request',
      `The runtime ${detection.runtime} runs projects only. Send a folder with a project file.`,
    );
  }
  const own = `.soulbox-run-${randomId(12)}`;
  const isBeside = codeFile.place === 'beside';
  const written = isBeside ? posix.join(base, `${own}${codeFile.name}`) : `/tmp/${own}`;
  const file = isBeside ? written : `${written}/${codeFile.name}`;
  await session.programs.upload(file, Buffer.from(code), { user: session.user, signal: left });
  return { detection, file, project: undefined, cwd: base, written };
}

async function inspectWhole(session: RunSession, request: RunRequest, base: string): Promise<Subject> {
  const path = await getFolder(session.files, pathFrom(base, request.subject.value));
  const file = request.entry === undefined ? undefined : await entryFile(session, path, request.entry);
  const whole = await inspectProject(session.files, path, request.language);
  // The name of the entry is more specific than the folder, which may contain several languages.
  const sight =
    file === undefined
      ? whole
      : { ...(await inspectFile(session.files, file, request.language)), folder: whole.folder };
  const detection = await chooseRuntime(session, sight, request);
  checkPermissions(detection, request);
  const project = { path, folder: whole.folder };
  return { detection, file, project, cwd: cwdOf(request, base, path), written: undefined };
}

async function entryFile(session: RunSession, project: string, entry: string): Promise<string> {
  const path = posix.resolve(project, entry);
  if (!path.startsWith(project === '/' ? '/' : `${project}/`))
    throw new SoulBoxError('bad_path', 'The entry is outside the project.');
  return await getFile(session.files, path);
}

function cwdOf(request: RunRequest, base: string, otherwise: string): string {
  return request.cwd === '' ? otherwise : base;
}

/** Refuses permissions that nothing enforces: a caller who sends one relies on the absence of all others. */
function checkPermissions({ runtime }: Detection, { permissions }: RunRequest): void {
  if (Object.keys(permissions).length === 0 || getRuntime(runtime).features.permissions === 'explicit') return;
  throw new SoulBoxError(
    'bad_request',
    `Only Deno supports permissions. A program of ${runtime} can do whatever its user can. Remove the permissions, or run it with Deno.`,
  );
}

async function prepare(
  { dependencies }: RunContext,
  session: RunSession,
  request: RunRequest,
  { detection, project }: Subject,
  emit: Emit<RunEvent>,
  left: AbortSignal,
): Promise<Dependencies> {
  if (project === undefined) return 'none';
  if (!request.install) return 'skipped';
  return await prepareProject({
    session,
    runtime: detection.runtime,
    project,
    cache: request.shareDependencies ? dependencies : undefined,
    onLog: async (text) => await emit({ kind: 'log', text }),
    signal: left,
  });
}

function executionOf({ detection, file, project }: Subject, request: RunRequest): Execution {
  const memoryMb = request.memoryMb === 0 ? undefined : request.memoryMb;
  const { language, runtime } = detection;
  const task = { language, file, project, args: request.args, memoryMb, permissions: request.permissions };
  const execution = getRuntime(runtime).execute(task);
  if (execution !== undefined) return execution;
  const names = [...(project?.folder ?? emptyFolder).names].sort().slice(0, 12).join(', ').slice(0, 200);
  throw new SoulBoxError(
    'runtime_not_found',
    `The project is for ${runtime}, but SoulBox found no file to start. Specify one as the entry. The project has ${printable(names)}.`,
  );
}

/**
 * Why the sandbox is no longer served. The reason is `sandbox_not_found` only for one that is gone, because the control
 * plane then forgets it.
 */
async function goneError({ table }: RunContext, sandboxId: string, cause: unknown): Promise<SoulBoxError> {
  // A pause in progress may still fail.
  await table.alone(sandboxId, async () => await Promise.resolve());
  const sandbox = table.find(sandboxId);
  if (sandbox === undefined || !isTenants(sandbox)) return sandboxNotFound(sandboxId);
  return looksPaused(sandbox)
    ? new SoulBoxError('illegal_transition', `Sandbox "${sandboxId}" was paused while the program ran.`, { cause })
    : new SoulBoxError('sandbox_unreachable', 'The connections to the sandbox were cut while the program ran.', {
        cause,
      });
}
