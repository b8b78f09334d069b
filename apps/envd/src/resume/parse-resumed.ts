import { SoulBoxError } from '@soulbox/base';
import { isRecord, parseSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';

/** The host's message to a sandbox that was restored from a checkpoint. */
export interface Resumed {
  readonly sandboxId: string;
  /** Differs for each copy. See /run/soulbox/generation. */
  readonly generation: string;
  /** Whether it is a copy of another sandbox instead of the sandbox that was paused. */
  readonly isCopy: boolean;
  /** Only the settings that the host named. An empty text unsets, as in POST /init. */
  readonly settings: Partial<Settings>;
}

/** Both values are used in files and environments of user programs. */
const wordPattern = /^[A-Za-z0-9._-]{1,128}$/;

/** Parses the body of POST /resumed. Ignores unknown members. Throws bad_request for a missing or malformed one. */
export function parseResumed(body: unknown): Resumed {
  if (!isRecord(body)) throw new SoulBoxError('bad_request', 'The request body must be a JSON object.');
  const { isCopy } = body;
  if (typeof isCopy !== 'boolean') throw new SoulBoxError('bad_request', 'isCopy must be true or false.');
  const given = Object.entries(parseSettings(body)).filter(([name]) => Object.hasOwn(body, name));
  return {
    sandboxId: parseWord(body, 'sandboxId'),
    generation: parseWord(body, 'generation'),
    isCopy,
    settings: Object.fromEntries(given),
  };
}

function parseWord(members: Record<string, unknown>, name: string): string {
  const value = members[name];
  if (typeof value === 'string' && wordPattern.test(value)) return value;
  throw new SoulBoxError('bad_request', `${name} must be 1 to 128 letters, digits, dots, dashes and underscores.`);
}
