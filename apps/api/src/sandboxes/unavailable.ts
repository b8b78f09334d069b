import { SoulBoxError } from '@soulbox/base';
import type { NewSandbox } from './new-sandbox-schema.ts';

const isFilled = (value: object | null | undefined): boolean =>
  value !== null && value !== undefined && Object.keys(value).length > 0;

/** Documented settings that this version does not offer. They are refused instead of silently ignored. */
type CreateSettings = Omit<NewSandbox, 'secure' | 'isolation'>;

const unavailable: readonly [name: string, asked: (body: CreateSettings) => boolean][] = [
  ['volumeMounts', (body) => isFilled(body.volumeMounts)],
];

/** Throws `not_implemented` with the name of the first such setting. */
export function refuseUnavailable(body: CreateSettings): void {
  const found = unavailable.find(([, asked]) => asked(body));
  if (found === undefined) return;
  throw new SoulBoxError('not_implemented', `${found[0]} is not available in this version of SoulBox.`);
}
