import { parseArgs } from 'node:util';
import { languages, permissionNames, runtimeNames } from '@soulbox/runtimes';
import type { Language, RuntimeName } from '@soulbox/runtimes';
import { parseChoiceFlag, parseNumberFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';

/** One day; see apps/api/src/limits.ts. */
const timeoutMax = 86_400;
const defaultTimeoutSeconds = 60;

interface RunArguments {
  readonly language?: string | undefined;
  readonly runtime?: string | undefined;
  readonly entry?: string | undefined;
  readonly template?: string | undefined;
  readonly sandbox?: string | undefined;
  readonly keep?: boolean | undefined;
  readonly timeout?: string | undefined;
  readonly memory?: string | undefined;
  readonly 'skip-install'?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** The validated command line of `soulbox run`. */
export interface RunRequest {
  /** As the user typed it. */
  readonly target: string;
  readonly language: Language | undefined;
  readonly runtime: RuntimeName | undefined;
  readonly entry: string | undefined;
  readonly template: string | undefined;
  readonly sandboxId: string | undefined;
  readonly keep: boolean;
  readonly json: boolean;
  readonly timeoutSeconds: number;
  /** The request body for the API, without the target. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Throws UsageError. */
export function requestFrom(args: RunArguments, rawArgs: readonly string[]): RunRequest {
  const { words, env, allow } = severalOf(rawArgs);
  const [target = '', ...programArgs] = words;
  if (args.sandbox !== undefined && args.template !== undefined)
    throw new UsageError('--sandbox and --template cannot be used together.');
  const language = parseChoiceFlag('language', args.language, languages);
  const runtime = parseChoiceFlag('runtime', args.runtime, runtimeNames);
  const timeoutSeconds = parseNumberFlag('timeout', args.timeout, 1, timeoutMax) ?? defaultTimeoutSeconds;
  return {
    target,
    language,
    runtime,
    entry: args.entry,
    template: args.template,
    sandboxId: args.sandbox,
    keep: args.keep === true,
    json: args.json === true,
    timeoutSeconds,
    body: {
      language,
      runtime,
      args: programArgs,
      envVars: Object.fromEntries(env.map((text) => parseVariable(text))),
      timeout: timeoutSeconds,
      memoryMB: parseNumberFlag('memory', args.memory, 16, 1_048_576),
      permissions: Object.fromEntries(allow.map((text) => parsePermission(text))),
      install: args['skip-install'] !== true,
    },
  };
}

/** Reads the flags that may be given more than once, which citty does not support. */
function severalOf(rawArgs: readonly string[]): { words: string[]; env: string[]; allow: string[] } {
  const value = { type: 'string' } as const;
  const options = {
    env: { type: 'string', multiple: true },
    allow: { type: 'string', multiple: true },
    ...Object.fromEntries(
      ['language', 'runtime', 'entry', 'template', 'sandbox', 'timeout', 'memory', 'data-dir'].map((name) => [
        name,
        value,
      ]),
    ),
  } as const;
  const { positionals, values } = parseArgs({ args: [...rawArgs], options, strict: false, allowPositionals: true });
  const textsOf = (name: 'env' | 'allow'): string[] => [values[name] ?? []].flat().map(String);
  return { words: positionals, env: textsOf('env'), allow: textsOf('allow') };
}

function parseVariable(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`--env must be NAME=VALUE, not ${JSON.stringify(text)}.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function parsePermission(text: string): [string, true | string[]] {
  const [name = '', what] = text.split(/=(.*)/s);
  if (!permissionNames.some((known) => known === name))
    throw new UsageError(`--allow must start with one of ${permissionNames.join(', ')}, not ${JSON.stringify(text)}.`);
  return [name, what === undefined ? true : what.split(',')];
}
