import { SoulBoxError } from '@soulbox/base';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BuildStepSchema } from '@soulbox/contract/runner';
import type { TeamRecord } from '@soulbox/storage';
import { fileKeyOf, findFile } from '../build-files/find.ts';
import type { ApiContext } from '../context.ts';
import type { BuildStep, stepTypes } from './start-schema.ts';

type StepType = (typeof stepTypes)[number];

/** The runner's name of each type, and the numbers of arguments it accepts. */
const forms: Record<StepType, { type: string; takes: string; fits: (args: readonly string[]) => boolean }> = {
  RUN: { type: 'RUN', takes: 'a command and optionally a user', fits: (args) => isBetween(args, 1, 2) },
  COPY: {
    type: 'COPY',
    takes: 'a source, a destination and optionally an owner and a mode',
    fits: (args) => isBetween(args, 2, 4),
  },
  ADD: {
    type: 'COPY',
    takes: 'a source, a destination and optionally an owner and a mode',
    fits: (args) => isBetween(args, 2, 4),
  },
  WORKDIR: { type: 'WORKDIR', takes: 'a path', fits: (args) => isBetween(args, 1, 1) },
  USER: { type: 'USER', takes: 'a name', fits: (args) => isBetween(args, 1, 1) },
  ENV: { type: 'ENV', takes: 'pairs of a name and a value', fits: arePairs },
  ARG: { type: 'ENV', takes: 'pairs of a name and a value', fits: arePairs },
};

function isBetween(args: readonly string[], min: number, max: number): boolean {
  return args.length >= min && args.length <= max && args[0] !== '';
}

function arePairs(args: readonly string[]): boolean {
  return args.length > 0 && args.length % 2 === 0 && args.every((arg, index) => index % 2 === 1 || arg !== '');
}

/** Converts the steps to the runner's form. Throws `bad_request` with the number of the first invalid step. */
export async function stepsToRunner(
  context: ApiContext,
  team: TeamRecord,
  steps: readonly BuildStep[],
): Promise<MessageInitShape<typeof BuildStepSchema>[]> {
  const present = new Set<string>();
  const refuse = (index: number, fault: string): never => {
    throw new SoulBoxError('bad_request', `step ${index + 1}: ${steps[index]?.type ?? ''} ${fault}.`);
  };
  const result: MessageInitShape<typeof BuildStepSchema>[] = [];
  for (const [index, { type, args, force, filesHash }] of steps.entries()) {
    const form = forms[type];
    if (!form.fits(args)) refuse(index, `takes ${form.takes}`);
    const step = { type: form.type, args, force };
    if (form.type !== 'COPY') result.push(step);
    else if (filesHash === undefined) refuse(index, 'requires filesHash');
    else {
      if (!present.has(filesHash) && !(await findFile(context, team, filesHash)))
        refuse(index, `refers to files that were not uploaded, or were damaged since (${filesHash}); upload them`);
      present.add(filesHash);
      const filesBlobKey = fileKeyOf(team, filesHash);
      const { fileKeys } = context;
      const files = {
        filesBlobKey,
        filesKey: fileKeys.keyOf(filesBlobKey),
        filesMayBeReadable: fileKeys.mayBeReadable,
      };
      result.push({ ...step, filesHash, ...files });
    }
  }
  return result;
}
