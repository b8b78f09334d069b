import { z } from 'zod';
import { SoulBoxError } from './error.ts';

/** One configuration key. `schema` parses the text of the environment variable. */
export interface ConfigKey<T> {
  readonly env: `SOULBOX_${string}`;
  readonly schema: z.ZodType<T>;
  readonly default: T;
  /** Unit and meaning in a sentence; printed in docs/config.md. */
  readonly help: string;
}

export type ConfigSchema = Readonly<Record<string, ConfigKey<unknown>>>;
export type ConfigOf<S extends ConfigSchema> = { readonly [K in keyof S]: S[K] extends ConfigKey<infer T> ? T : never };

/** Declares a key; the type of its value comes from the schema. */
export function key<T>(env: `SOULBOX_${string}`, schema: z.ZodType<T>, fallback: T, help: string): ConfigKey<T> {
  return { env, schema, default: fallback, help };
}

/** Text to a whole number within bounds. */
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

/** The same for one of several schemas: what is wrong is added to `faults`, and the result is of use only if there are none. */
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

/** Throws `config_invalid` with all of them, if there are any. */
export function refuseFaults(faults: readonly string[]): void {
  if (faults.length > 0)
    throw new SoulBoxError('config_invalid', `The configuration is not valid:\n  ${faults.join('\n  ')}`);
}

/** The `SOULBOX_*` variables that no schema knows: a typing error must stop the start, not pass in silence. */
export function findUnknownKeys(
  schemas: readonly ConfigSchema[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const known = new Set(schemas.flatMap((schema) => Object.values(schema).map((entry) => entry.env as string)));
  return Object.keys(environment).filter((name) => name.startsWith('SOULBOX_') && !known.has(name));
}
