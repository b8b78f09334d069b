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
import type { RunWish } from './run-request.ts';
import { inspectCode, inspectFile, inspectProject } from './inspect.ts';
import type { Place } from './run-session.ts';
import { getFile, getFolder, openRunSession, pathFrom } from './run-session.ts';
import { prepareProject } from './prepare.ts';
import type { Dependencies } from './prepare.ts';

/** Code, a file or a project as it lies in the sandbox. */
interface Subject {
  readonly detection: Detection;
  /** What is run. Undefined: the project decides. */
  readonly file: string | undefined;
  readonly project: { readonly path: string; readonly folder: Folder } | undefined;
  readonly cwd: string;
  /** What was written for this run only. */
  readonly written: string | undefined;
}

/**
 * Runs one program in a sandbox: looks at it, installs what it needs, executes it. `left` aborted kills it. A sandbox that is
 * paused or killed meanwhile ends the run with an error that says so.
 */
export async function runProgram(
  context: RunContext,
  wish: RunWish,
  emit: Emit<RunEvent>,
  left: AbortSignal,
): Promise<void> {
  const { sandboxId } = wish;
  await context.router.wake(sandboxId);
  const sandbox = context.table.getRunning(sandboxId);
  using _use = context.activity.enter(sandboxId);
  using place = openRunSession(sandbox, wish.user);
  const gone = new AbortController();
  const stopListening = context.router.onGone((goneId) => {
    if (goneId !== sandboxId) return;
    gone.abort();
    place[Symbol.dispose]();
  });
  try {
    await runIn(context, place, wish, emit, left);
  } catch (error) {
    throw gone.signal.aborted ? await goneError(context, sandboxId, error) : error;
  } finally {
    stopListening();
  }
}

async function runIn(
  context: RunContext,
  place: Place,
  wish: RunWish,
  emit: Emit<RunEvent>,
  left: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const subject = await lookAt(place, wish, left);
  const reportPath = `/tmp/.soulbox-run-${randomId(24)}`;
  try {
    const detectMs = performance.now() - startedAt;
    await emit({ kind: 'detected', detection: subject.detection });
    const preparedAt = performance.now();
    const dependencies = await prepare(context, place, wish, subject, emit, left);
    const prepareMs = performance.now() - preparedAt;
    const { cwd } = subject;
    const outcome = await execute(
      { place, wish, cwd, detection: subject.detection, execution: executionOf(subject, wish), left, reportPath },
      emit,
    );
    await emit({ kind: 'done', outcome, dependencies, detectMs, prepareMs });
    context.logBook.write(wish.sandboxId, 'program run', { runtime: subject.detection.runtime });
  } finally {
    const written = [reportPath, subject.written].filter((path) => path !== undefined);
    await Promise.all(written.map(async (path) => await place.files.remove(path).catch(() => undefined)));
  }
}

async function lookAt(place: Place, wish: RunWish, left: AbortSignal): Promise<Subject> {
  const base = await getFolder(place.files, wish.cwd);
  const { kind, value } = wish.subject;
  if (kind === 'code') return await writeCode(place, wish, base, left);
  if (kind === 'file') {
    const file = await getFile(place.files, pathFrom(base, value));
    const detection = await chooseRuntime(place, await inspectFile(place.files, file, wish.language), wish);
    checkPermissions(detection, wish);
    return { detection, file, project: undefined, cwd: cwdOf(wish, base, posix.dirname(file)), written: undefined };
  }
  return await lookAtWhole(place, wish, base);
}

async function writeCode(place: Place, wish: RunWish, base: string, left: AbortSignal): Promise<Subject> {
  const code = wish.subject.value;
  const detection = await chooseRuntime(place, inspectCode(code, wish.language), wish);
  checkPermissions(detection, wish);
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
  await place.programs.upload(file, Buffer.from(code), { user: place.user, signal: left });
  return { detection, file, project: undefined, cwd: base, written };
}

async function lookAtWhole(place: Place, wish: RunWish, base: string): Promise<Subject> {
  const path = await getFolder(place.files, pathFrom(base, wish.subject.value));
  const file = wish.entry === undefined ? undefined : await entryFile(place, path, wish.entry);
  const whole = await inspectProject(place.files, path, wish.language);
  // The name of the entry says more than the folder, which may hold several languages.
  const sight =
    file === undefined ? whole : { ...(await inspectFile(place.files, file, wish.language)), folder: whole.folder };
  const detection = await chooseRuntime(place, sight, wish);
  checkPermissions(detection, wish);
  const project = { path, folder: whole.folder };
  return { detection, file, project, cwd: cwdOf(wish, base, path), written: undefined };
}

async function entryFile(place: Place, project: string, entry: string): Promise<string> {
  const path = posix.resolve(project, entry);
  if (!path.startsWith(project === '/' ? '/' : `${project}/`))
    throw new SoulBoxError('bad_path', 'The entry is outside the project.');
  return await getFile(place.files, path);
}

function cwdOf(wish: RunWish, base: string, otherwise: string): string {
  return wish.cwd === '' ? otherwise : base;
}

/** What nobody enforces is refused: whoever sends a permission believes in the lack of all others. */
function checkPermissions({ runtime }: Detection, { permissions }: RunWish): void {
  if (Object.keys(permissions).length === 0 || getRuntime(runtime).features.permissions === 'explicit') return;
  throw new SoulBoxError(
    'bad_request',
    `Only Deno supports permissions. A program of ${runtime} can do whatever its user can. Remove the permissions, or run it with Deno.`,
  );
}

async function prepare(
  { dependencies }: RunContext,
  place: Place,
  wish: RunWish,
  { detection, project }: Subject,
  emit: Emit<RunEvent>,
  left: AbortSignal,
): Promise<Dependencies> {
  if (project === undefined) return 'none';
  if (!wish.install) return 'skipped';
  return await prepareProject({
    place,
    runtime: detection.runtime,
    project,
    cache: wish.shareDependencies ? dependencies : undefined,
    onLog: async (text) => await emit({ kind: 'log', text }),
    signal: left,
  });
}

function executionOf({ detection, file, project }: Subject, wish: RunWish): Execution {
  const memoryMb = wish.memoryMb === 0 ? undefined : wish.memoryMb;
  const { language, runtime } = detection;
  const task = { language, file, project, args: wish.args, memoryMb, permissions: wish.permissions };
  const execution = getRuntime(runtime).execute(task);
  if (execution !== undefined) return execution;
  const names = [...(project?.folder ?? emptyFolder).names].sort().slice(0, 12).join(', ').slice(0, 200);
  throw new SoulBoxError(
    'runtime_not_found',
    `The project is for ${runtime}, but has no file that SoulBox would start with. Specify the file as the entry. The project has ${printable(names)}.`,
  );
}

/** Why the sandbox is not served any more. Never says that it is not there while it is: the control plane would strike it off. */
async function goneError({ table }: RunContext, sandboxId: string, cause: unknown): Promise<SoulBoxError> {
  // A pause that is under way may still fail.
  await table.alone(sandboxId, async () => await Promise.resolve());
  const sandbox = table.find(sandboxId);
  if (sandbox === undefined || !isTenants(sandbox)) return sandboxNotFound(sandboxId);
  return looksPaused(sandbox)
    ? new SoulBoxError('illegal_transition', `Sandbox "${sandboxId}" was paused while the program ran.`, { cause })
    : new SoulBoxError('sandbox_unreachable', 'The connections to the sandbox were cut while the program ran.', {
        cause,
      });
}
