import { SoulBoxError } from '@soulbox/base';
import type { SignedCheckpoint } from './checkpoint.ts';
import type { Log } from './log.ts';
import { verifyLines } from './note.ts';
import type { NoteVerifier, VerifiedSignature } from './note.ts';

/** A witness of C2SP's tlog-witness: it signs only checkpoints that continue those that it has signed before. */
export interface Witness {
  /** The submission prefix, without a slash at its end. */
  readonly url: string;
  readonly verifier: NoteVerifier;
}

export type WitnessAnswer =
  | { readonly kind: 'signed'; readonly signature: VerifiedSignature }
  /** It has signed a checkpoint that ours does not continue: one of both sides was set back or forked. */
  | { readonly kind: 'refused'; readonly status: number; readonly size: number | undefined };

const timeoutMs = 10_000;
const answerBytesMax = 16_384;
const conflict = 409;
const sizeType = 'text/x.tlog.size';

/**
 * Asks a witness to sign a checkpoint of the log, by default the published one. The log may grow meanwhile. `lastSize` is
 * the size that the witness has signed last, 0 if unknown: it then says the size, and is asked again. Throws
 * `host_not_ready` if it does not answer or its signature is wrong.
 */
export async function askWitness(
  log: Log,
  witness: Witness,
  lastSize: number,
  checkpoint: SignedCheckpoint = log.checkpoint,
): Promise<WitnessAnswer> {
  const ask = async (size: number): Promise<Submitted> => await submit({ log, checkpoint }, witness, size);
  const first = await ask(lastSize);
  if (first.status !== conflict || first.size === undefined || first.size === lastSize)
    return judge(checkpoint, witness, first);
  if (first.size > checkpoint.size) return { kind: 'refused', status: first.status, size: first.size };
  return judge(checkpoint, witness, await ask(first.size));
}

interface Submitted {
  readonly status: number;
  readonly size: number | undefined;
  readonly body: string;
}

async function submit(
  { log, checkpoint }: { readonly log: Log; readonly checkpoint: SignedCheckpoint },
  { url }: Witness,
  oldSize: number,
): Promise<Submitted> {
  const proof = await log.proveConsistency(Math.min(oldSize, checkpoint.size), checkpoint.size);
  const lines = proof.map((hash) => `${hash.toString('base64')}\n`).join('');
  try {
    const answer = await fetch(`${url}/add-checkpoint`, {
      method: 'POST',
      body: `old ${oldSize}\n${lines}\n${checkpoint.note}`,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = await readText(answer);
    const isSize = answer.status === conflict && answer.headers.get('content-type')?.split(';')[0] === sizeType;
    const size = isSize && /^(0|[1-9]\d{0,15})\n$/.test(body) ? Number(body) : undefined;
    return { status: answer.status, size, body };
  } catch (cause) {
    throw new SoulBoxError('host_not_ready', `The witness ${url} does not answer.`, { cause });
  }
}

/** Throws for an answer that is too long. */
async function readText({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > answerBytesMax) throw new RangeError('The answer is too long.');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function judge(
  { note }: SignedCheckpoint,
  { url, verifier }: Witness,
  { status, size, body }: Submitted,
): WitnessAnswer {
  if (status !== 200) return { kind: 'refused', status, size };
  const [signature] = verifyLines(note.slice(0, note.lastIndexOf('\n\n') + 1), body, [verifier]);
  if (signature === undefined)
    throw new SoulBoxError('host_not_ready', `The witness ${url} has answered without a signature of its key.`);
  return { kind: 'signed', signature };
}
