import { SoulBoxError } from '@soulbox/base';
import type { RunProgramRequest } from '@soulbox/contract/runner';
import { languages, permissionNames, runtimeNames } from '@soulbox/runtimes';
import type { Permissions } from '@soulbox/runtimes';
import type { RunRequest } from '../run/run-request.ts';

/** The longest time of one run: a day. */
const maxTimeoutMs = 86_400_000;

export function runFromMessage(request: RunProgramRequest): RunRequest {
  const { subject, input, timeoutMs } = request;
  if (subject.case === undefined)
    throw new SoulBoxError('bad_request', 'The request does not contain anything to run.');
  if (timeoutMs < 1 || timeoutMs > maxTimeoutMs)
    throw new SoulBoxError('bad_request', `The time limit must be 1 to ${maxTimeoutMs} ms.`);
  return {
    sandboxId: request.sandboxId,
    subject: { kind: subject.case, value: subject.value },
    entry: request.entry === '' ? undefined : request.entry,
    language: parseWord('language', request.language, languages),
    runtime: parseWord('runtime', request.runtime, runtimeNames),
    args: request.args,
    env: request.envVars,
    cwd: request.cwd,
    user: request.user,
    stdin: input.case === 'stdin' ? input.value : input.case === 'stdinOpen' && input.value ? 'open' : undefined,
    timeoutMs,
    outputLimitBytes: Number(request.outputLimitBytes),
    memoryMb: request.memoryMb,
    permissions: permissionsFrom(request.permissions),
    install: request.install,
    shareDependencies: request.shareDependencies,
  };
}

function permissionsFrom(list: RunProgramRequest['permissions']): Permissions {
  return Object.fromEntries(
    list.map(({ name, only }) => {
      const known = permissionNames.find((candidate) => candidate === name);
      if (known === undefined || only.some((what) => what === '' || what.includes(',')))
        throw new SoulBoxError('bad_request', `The permission ${JSON.stringify(name.slice(0, 40))} is not valid.`);
      return [known, only.length === 0 ? true : only];
    }),
  );
}

function parseWord<T extends string>(what: string, text: string, words: readonly T[]): T | undefined {
  if (text === '') return undefined;
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  throw new SoulBoxError(
    'bad_request',
    `The ${what} ${JSON.stringify(text.slice(0, 40))} is unknown. Use one of ${words.join(', ')}.`,
  );
}
