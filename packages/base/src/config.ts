import { z } from 'zod';
import { SoulBoxError } from './error.ts';

/** One configuration key. `schema` parses the text of the environment variable. */
export interface ConfigKey<T> {
  readonly env: `SOULBOX_${string}`;
  readonly schema: z.ZodType<T>;
  readonly default: T;
  /** The unit and the meaning in one sentence. It is printed in docs/config.md. */
  readonly help: string;
}

export type ConfigSchema = Readonly<Record<string, ConfigKey<unknown>>>;
export type ConfigOf<S extends ConfigSchema> = { readonly [K in keyof S]: S[K] extends ConfigKey<infer T> ? T : never };

/** Declares a key. The schema determines the type of the value. */
export function key<T>(env: `SOULBOX_${string}`, schema: z.ZodType<T>, fallback: T, help: string): ConfigKey<T> {
  return { env, schema, default: fallback, help };
}

/** Parses text to a whole number within bounds. */
export const wholeNumber = (min: number, max: number): z.ZodType<number> => z.coerce.number().int().min(min).max(max);

export const flag: z.ZodType<boolean> = z.enum(['true', 'false']).transform((text) => text === 'true');

/**
 * Reads every key of `schema` from `environment`. `overrides` (command-line flags) win.
 * Throws one `config_invalid` error that lists all faults.
 */
export function loadConfig<S extends ConfigSchema>(
  schema: S,
  environment: Readonly<Record<string, string | undefined>>,
  overrides: Partial<ConfigOf<S>> = {},
): ConfigOf<S> {
  const faults: string[] = [];
  const config = readConfig(schema, environment, { overrides, faults });
  refuseFaults(faults);
  return config;
}

/**
 * Like `loadConfig`, but for one of several schemas: adds faults to `faults`. Use the result only if there are none.
 */
export function readConfig<S extends ConfigSchema>(
  schema: S,
  environment: Readonly<Record<string, string | undefined>>,
  { overrides = {}, faults }: { readonly overrides?: Partial<ConfigOf<S>>; readonly faults: string[] },
): ConfigOf<S> {
  const values: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(schema)) {
    const override = overrides[name as keyof S];
    const text = environment[entry.env];
    if (override !== undefined) values[name] = override;
    else if (text === undefined || text === '') values[name] = entry.default;
    else {
      const parsed = entry.schema.safeParse(text);
      if (parsed.success) values[name] = parsed.data;
      else {
        values[name] = entry.default;
        faults.push(`${entry.env}: ${parsed.error.issues.map((issue) => issue.message).join('; ')}`);
      }
    }
  }
  return values as ConfigOf<S>;
}

/** Throws one `config_invalid` error that lists all faults, if there are any. */
export function refuseFaults(faults: readonly string[]): void {
  if (faults.length > 0)
    throw new SoulBoxError('config_invalid', `The configuration is not valid:\n  ${faults.join('\n  ')}`);
}

/**
 * Returns the `SOULBOX_*` variables that no schema knows. A misspelled name must stop the start instead of being ignored.
 */
export function findUnknownKeys(
  schemas: readonly ConfigSchema[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const known = new Set(schemas.flatMap((schema) => Object.values(schema).map((entry) => entry.env as string)));
  return Object.keys(environment).filter((name) => name.startsWith('SOULBOX_') && !known.has(name));
}
