import { SoulBoxError } from '@soulbox/base';
import { openNote, parseVerifierKey } from './note.ts';
import type { NoteVerifier, VerifiedSignature } from './note.ts';
import { hashBytes } from './tree.ts';
import type { Hash } from './tree.ts';

/** The head of a log, as C2SP's tlog-checkpoint specifies it. */
export interface Checkpoint {
  /** Names the log. */
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
}

export interface SignedCheckpoint extends Checkpoint {
  /** The whole note. */
  readonly note: string;
  readonly signatures: readonly VerifiedSignature[];
}

/** The text of a checkpoint, without signatures. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/** Throws `state_damaged` for a text of another form. Lines after the third are ignored. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', encoded = ''] = text.split('\n');
  const root = Buffer.from(encoded, 'base64');
  const isWhole = origin !== '' && /^(0|[1-9]\d{0,15})$/.test(size) && root.length === hashBytes;
  if (!isWhole || root.toString('base64') !== encoded || !Number.isSafeInteger(Number(size)))
    throw new SoulBoxError('state_damaged', 'The text is not the checkpoint of a log.');
  return { origin, size: Number(size), root };
}

/**
 * Verifies a checkpoint that `log` must have signed, a verifier key; signatures of known `witnesses` are verified too.
 * The origin must be the name of the key. Throws `state_damaged`.
 */
export function openCheckpoint(note: string, log: string, witnesses: readonly NoteVerifier[] = []): SignedCheckpoint {
  const verifier = parseVerifierKey(log);
  const { text, signatures } = openNote(note, [verifier, ...witnesses]);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== verifier.name || !signatures.some(({ type }) => type === 'ed25519'))
    throw new SoulBoxError('state_damaged', `The checkpoint is not one of the log ${verifier.name}.`);
  return { ...checkpoint, note, signatures };
}
