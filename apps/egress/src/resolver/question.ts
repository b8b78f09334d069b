import { decode } from 'dns-packet';
import { normalizeName } from '@soulbox/network/policy';

/** Maximum bytes of a question with everything that may follow it. Real ones have about 60, with cookies 100. */
export const questionMaxBytes = 1024;
/** The payload that fits into one packet everywhere (DNS flag day 2020). */
export const payloadBytes = 1232;
const payloadWithoutEdns = 512;

/** What a sandbox asks. */
export interface Question {
  readonly id: number;
  /** As it was asked: the answer repeats it, also in mixed case. */
  readonly asked: string;
  /** In the form of `normalizeName`. */
  readonly name: string;
  /** As dns-packet names types; `UNKNOWN_65` is HTTPS. */
  readonly type: string;
  /** The largest answer over UDP. */
  readonly answerMaxBytes: number;
  readonly hasEdns: boolean;
}

export type ReadQuestion =
  | { readonly kind: 'question'; readonly question: Question }
  /** It has a header, so that it can be answered with an error. */
  | { readonly kind: 'bad'; readonly id: number; readonly rcode: 'FORMERR' | 'NOTIMP' }
  /** It gets no answer: it is too short, or is itself an answer (two servers would answer each other for ever). */
  | { readonly kind: 'ignored' };

/** dns-packet knows these types only by number. */
const numberedTypes: Readonly<Record<string, string>> = { UNKNOWN_64: 'SVCB', UNKNOWN_65: 'HTTPS' };

export function readQuestion(bytes: Buffer): ReadQuestion {
  if (bytes.length < 12 || (bytes.readUInt16BE(2) & 0x8000) !== 0) return { kind: 'ignored' };
  const id = bytes.readUInt16BE(0);
  if ((bytes.readUInt16BE(2) & 0x7800) !== 0) return { kind: 'bad', id, rcode: 'NOTIMP' };
  const malformed: ReadQuestion = { kind: 'bad', id, rcode: 'FORMERR' };
  // One question, and nothing but EDNS and signatures behind it.
  const counts = [4, 6, 8, 10].map((offset) => bytes.readUInt16BE(offset));
  const [questions = 0, answers = 0, authorities = 0, additionals = 0] = counts;
  if (bytes.length > questionMaxBytes || questions !== 1 || answers + authorities > 0 || additionals > 2)
    return malformed;
  try {
    const message = decode(bytes);
    const [asked] = message.questions ?? [];
    if (asked === undefined || (asked.class ?? 'IN') !== 'IN' || !/^[\x21-\x7e]+$/.test(asked.name)) return malformed;
    const name = normalizeName(asked.name);
    if (name === undefined) return malformed;
    const edns = message.additionals?.find((record) => record.type === 'OPT');
    const offered = edns?.type === 'OPT' ? edns.udpPayloadSize : payloadWithoutEdns;
    return {
      kind: 'question',
      question: {
        ...{ id, asked: asked.name, name, type: numberedTypes[asked.type] ?? asked.type },
        answerMaxBytes: Math.min(payloadBytes, Math.max(payloadWithoutEdns, offered)),
        hasEdns: edns !== undefined,
      },
    };
  } catch {
    return malformed;
  }
}
