import { UsageError } from '../../command-line/usage-error.ts';

/** Throws UsageError unless the flag `--volumes` is absent or one of the choices. */
export function parseVolumes(flag: string | undefined, choices: readonly string[]): string | undefined {
  if (flag === undefined || choices.includes(flag)) return flag;
  throw new UsageError(`--volumes must be ${choices.join(' or ')}, not ${JSON.stringify(flag)}.`);
}
