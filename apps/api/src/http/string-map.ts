import { z } from 'zod';

export interface StringMapLimits {
  /** Number of pairs. */
  readonly entries: number;
  /** UTF-8 bytes. */
  readonly keyBytes: number;
  /** UTF-8 bytes. */
  readonly valueBytes: number;
}

/** True for text that is valid in UTF-8 and in a C string: no NUL and no unpaired surrogate. */
function isCleanText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function faultOf(map: Readonly<Record<string, string>>, limits: StringMapLimits): string | undefined {
  const pairs = Object.entries(map);
  if (pairs.length > limits.entries) return `has ${pairs.length} entries, at most ${limits.entries} are allowed`;
  for (const [key, value] of pairs) {
    if (key === '') return 'has an empty key';
    if (!isCleanText(key) || !isCleanText(value)) return 'must not contain a NUL or a broken surrogate pair';
    if (Buffer.byteLength(key) > limits.keyBytes) return `has a key of more than ${limits.keyBytes} bytes`;
    if (Buffer.byteLength(value) > limits.valueBytes) return `has a value of more than ${limits.valueBytes} bytes`;
  }
  return undefined;
}

/** A map of strings to strings within limits, such as E2B's metadata and envVars. */
export function stringMap(limits: StringMapLimits, description: string): z.ZodType<Record<string, string>> {
  return z
    .record(z.string(), z.string())
    .superRefine((map, check) => {
      const fault = faultOf(map, limits);
      if (fault !== undefined) check.addIssue({ code: 'custom', message: fault });
    })
    .describe(
      `${description} At most ${limits.entries} entries, keys of ${limits.keyBytes} and values of ${limits.valueBytes} bytes.`,
    );
}
