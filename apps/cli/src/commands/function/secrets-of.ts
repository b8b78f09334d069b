import { environment } from '../../config.ts';
import { UsageError } from '../../command-line/usage-error.ts';

/** Read from this shell's environment: a value on the command line would stay in the shell's history. */
export function secretsOf(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => {
      const value = environment[name];
      if (value === undefined)
        throw new UsageError(`Secret ${name}: this shell does not have a variable with that name. Export it first.`);
      return [name, value];
    }),
  );
}
