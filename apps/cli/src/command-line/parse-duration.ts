import { UsageError } from './usage-error.ts';

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses a duration such as `90s` or `10m` into seconds; undefined when the flag was not given. Throws UsageError. */
export function parseDurationFlag(name: string, text: string | undefined, maxSeconds: number): number | undefined {
  if (text === undefined) return undefined;
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (secondsOf[unit] ?? 0);
  if (seconds > 0 && seconds <= maxSeconds) return seconds;
  const most = `${maxSeconds / 86_400}d`;
  throw new UsageError(`--${name} must be a duration such as 90s, 10m, 24h or ${most}, not ${JSON.stringify(text)}.`);
}
