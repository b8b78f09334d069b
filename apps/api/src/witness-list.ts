import { parseVerifierKey } from '@soulbox/audit';
import { z } from 'zod';

/** A witness of the audit logs as it is configured. */
export interface WitnessSetting {
  /** The submission prefix of C2SP's tlog-witness, without a slash at its end. */
  readonly url: string;
  /** `name+id+key`, as C2SP's signed-note encodes it. */
  readonly key: string;
}

/** Each is asked for each log. */
export const witnessesMax = 8;

const url = z.url({ protocol: /^https?$/ });

/** `URL KEY, URL KEY`. Two witnesses with one key would count twice. */
export const witnessList: z.ZodType<readonly WitnessSetting[]> = z
  .string()
  .transform((text) => (text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim())))
  .pipe(
    z.array(z.string().refine(isWitness, 'must be URLs of witnesses, each with its verifier key')).max(witnessesMax),
  )
  .transform((entries) => entries.map(parse))
  .refine((all) => new Set(all.map(({ key }) => key)).size === all.length, 'must not name a witness twice');

function parse(entry: string): WitnessSetting {
  const [prefix = '', key = ''] = entry.split(/\s+/);
  return { url: prefix.replace(/\/+$/, ''), key };
}

/** The key must be one for cosignatures: with the key of a log, nothing that the witness answers would be accepted. */
function isWitness(entry: string): boolean {
  const { url: prefix, key } = parse(entry);
  try {
    return url.safeParse(prefix).success && parseVerifierKey(key).type === 'cosignature';
  } catch {
    return false;
  }
}
