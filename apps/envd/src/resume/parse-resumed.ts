import { SoulBoxError } from '@soulbox/base';
import { isRecord, parseSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';

/** What the host tells a sandbox whose memory came back from a saved state. */
export interface Resumed {
  readonly sandboxId: string;
  /** Differs for each copy; see /run/soulbox/generation. */
  readonly generation: string;
  /** Whether it is a copy of another sandbox, rather than the sandbox that was paused. */
  readonly isCopy: boolean;
  /** Only what the host named; an empty text unsets, as in POST /init. */
  readonly settings: Partial<Settings>;
}

/** Both end up in files and environments of user programs. */
const wordPattern = /^[A-Za-z0-9._-]{1,128}$/;

/** Reads the body of POST /resumed. Unknown members are ignored; throws bad_request for a missing or malformed one. */
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
