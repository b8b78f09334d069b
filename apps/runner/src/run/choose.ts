import { SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client';
import { detect, equallySure, fullTemplate, getRuntime, parseVersion, runs } from '@soulbox/runtimes';
import type { Detection, Language, RuntimeName, Sight } from '@soulbox/runtimes';
import type { KnownSandbox } from '../registry/table.ts';
import type { RunSession } from './run-session.ts';

/** `java --version` takes this long because it starts a virtual machine. */
const versionTimeoutMs = 15_000;
const maxVersionBytes = 4096;
/** An error lists at most this many names of a folder. */
const namesQuoted = 12;

/**
 * The versions that were found in a sandbox, until it is forgotten. A missing runtime is searched for again, because it
 * may have been installed meanwhile.
 */
const known = new WeakMap<KnownSandbox, Map<RuntimeName, string>>();

/** The version of a runtime in the sandbox. Undefined when it is not installed. */
export async function findVersion(session: RunSession, name: RuntimeName): Promise<string | undefined> {
  const versions = known.get(session.sandbox) ?? new Map<RuntimeName, string>();
  known.set(session.sandbox, versions);
  const found = versions.get(name) ?? (await askVersion(session, name));
  if (found !== undefined) versions.set(name, found);
  return found;
}

async function askVersion(session: RunSession, name: RuntimeName): Promise<string | undefined> {
  const [command, ...args] = getRuntime(name).versionCommand;
  let text = '';
  try {
    const { exitCode } = await session.programs.run(
      { command, args, user: session.user, timeoutMs: versionTimeoutMs },
      (_channel, bytes) => {
        if (text.length < maxVersionBytes) text += Buffer.from(bytes).toString('latin1');
      },
    );
    return exitCode === 0 ? (parseVersion(text) ?? 'unknown') : undefined;
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'bad_request') return undefined;
    throw error;
  }
}

/** The caller's choice. */
export interface RunChoice {
  readonly runtime: RuntimeName | undefined;
  readonly language: Language | undefined;
}

/** The runtime for the inspected file or folder. Throws `runtime_not_found` and `runtime_not_installed` with a hint. */
export async function chooseRuntime(session: RunSession, sight: Sight, request: RunChoice): Promise<Detection> {
  const candidates = request.runtime === undefined ? equallySure(detect(sight)) : [asAsked(request.runtime, sight)];
  const [first, ...others] = candidates;
  if (first === undefined) throw notFound(sight);
  // The start shows whether it is installed. A check before would cost every run a process.
  if (others.length === 0 && needsNoVersion(first)) return first;
  const tried: string[] = [];
  for (const candidate of candidates) {
    const version = await findVersion(session, candidate.runtime);
    const runtime = getRuntime(candidate.runtime);
    if (version !== undefined && runs(runtime, candidate.language, version === 'unknown' ? undefined : version))
      return candidate;
    tried.push(version === undefined ? `no ${candidate.runtime}` : `${candidate.runtime} ${version}`);
  }
  throw notInstalled(session, candidates, tried);
}

function needsNoVersion({ runtime, language }: Detection): boolean {
  return getRuntime(runtime).features.languages.some((support) => support.language === language && !support.since);
}

function asAsked(name: RuntimeName, sight: Sight): Detection {
  const { languages } = getRuntime(name).features;
  const wanted = sight.language ?? detect(sight).find(({ runtime }) => runtime === name)?.language;
  const support = languages.find(({ language }) => language === wanted) ?? languages[0];
  if (support === undefined || (sight.language !== undefined && support.language !== sight.language))
    throw new SoulBoxError('bad_request', `The runtime ${name} does not support ${sight.language ?? 'this program'}.`);
  return { runtime: name, language: support.language, sureness: 1, reasons: [`the runtime ${name} was requested`] };
}

function notFound({ fileName, firstLine, folder }: Sight): SoulBoxError {
  const names = [...folder.names].sort();
  const more = names.length > namesQuoted ? ` and ${names.length - namesQuoted} more` : '';
  const seen =
    fileName !== undefined
      ? `the name ${JSON.stringify(fileName.slice(0, 80))} and the first line`
      : firstLine !== ''
        ? 'the first line of the code'
        : names.length === 0
          ? 'the empty folder'
          : `the folder that contains ${printable(names.slice(0, namesQuoted).join(', ').slice(0, 200))}${more}`;
  return new SoulBoxError('runtime_not_found', `No runtime could be detected from ${seen}. Specify the language.`);
}

export function notInstalled(
  session: RunSession,
  candidates: readonly Detection[],
  tried: readonly string[],
): SoulBoxError {
  const language = candidates[0]?.language ?? 'it';
  const { templateId, tenant } = session.sandbox.record;
  const found = tried.length === 0 ? '' : ` It has ${tried.join(', ')}.`;
  const needed = candidates.map((candidate) => nameWithSince(candidate)).join(' or ');
  const isOffered = candidates.some((one) => !fullTemplate.lacks.some((lacking) => lacking === one.runtime));
  const advice = isOffered ? `Template "${fullTemplate.name}" has it.` : 'SoulBox has no template for it.';
  return new SoulBoxError(
    'runtime_not_installed',
    `This sandbox (template ${tenant.alias || templateId}) cannot run ${language}: it needs ${needed}.${found} ${advice}`,
  );
}

function nameWithSince({ runtime, language }: Detection): string {
  const since = getRuntime(runtime).features.languages.find((support) => support.language === language)?.since;
  return since === undefined ? runtime : `${runtime} ${since} or later`;
}
