import { SoulBoxError } from '@soulbox/base';
import type { BuildStep } from '../build-spec.ts';
import type { Step, StepType } from './step.ts';

const types: Readonly<Record<string, StepType>> = {
  RUN: 'RUN',
  COPY: 'COPY',
  ADD: 'COPY',
  WORKDIR: 'WORKDIR',
  USER: 'USER',
  ENV: 'ENV',
  ARG: 'ENV',
};

/** The maximum length of one argument of execve (MAX_ARG_STRLEN of the kernel). */
const maxArgLength = 128 * 1024;
const maxArgs = 1000;
const filesKeyBytes = 32;

const argCounts: Readonly<Record<StepType, readonly [min: number, max: number]>> = {
  RUN: [1, 2],
  COPY: [2, 4],
  WORKDIR: [1, 1],
  USER: [1, 1],
  ENV: [2, maxArgs],
};

/** Throws `bad_request` for a step that is unknown or incomplete. */
export function parseStep({ type: name, ...rest }: BuildStep): Step {
  const { args, filesBlobKey, filesHash, filesKey } = rest;
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  if (type === undefined) throw refuse(`The step type ${JSON.stringify(name.slice(0, 40))} is not known.`);
  const [min, max] = argCounts[type];
  if (args.length < min || args.length > max)
    throw refuse(`${name} takes ${min === max ? min : `${min} to ${max}`} arguments, not ${args.length}.`);
  if (args.some((arg) => arg.includes('\0') || Buffer.byteLength(arg) >= maxArgLength))
    throw refuse(`${name} has an argument with a NUL in it, or of 128 KiB or more.`);
  if (args[0] === '') throw refuse(`The first argument of ${name} is empty.`);
  if (type === 'ENV') checkVariables(args);
  if (type === 'COPY' && (filesBlobKey === '' || filesHash === '')) throw refuse(`${name} has no uploaded files.`);
  if (type === 'COPY' && filesKey.length !== filesKeyBytes) throw refuse(`${name} has no key of its files.`);
  return { type, ...rest };
}

function checkVariables(args: readonly string[]): void {
  if (args.length % 2 !== 0) throw refuse('ENV takes names and values in turn.');
  for (let at = 0; at < args.length; at += 2) {
    const name = args[at] ?? '';
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw refuse(`${JSON.stringify(name.slice(0, 40))} is not a name of an environment variable.`);
  }
}

function refuse(message: string): SoulBoxError {
  return new SoulBoxError('bad_request', message);
}
