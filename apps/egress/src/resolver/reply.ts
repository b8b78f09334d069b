import { encode, RECURSION_AVAILABLE, RECURSION_DESIRED, TRUNCATED_RESPONSE } from 'dns-packet';
import type { Answer, RecordType } from 'dns-packet';
import type { Question } from './question.ts';
import { payloadBytes } from './question.ts';

/** RFC 1035, 4.1.1 */
const codes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
export type ResponseCode = keyof typeof codes;

const numbers: Readonly<Record<string, string>> = { SVCB: 'UNKNOWN_64', HTTPS: 'UNKNOWN_65' };

/** The reply to a question. What does not fit into `maxBytes` is left out, and the asker is told to use TCP. */
export function encodeReply(
  question: Question,
  rcode: ResponseCode,
  answers: readonly Answer[],
  maxBytes: number,
): Buffer {
  const message = (isCut: boolean): Buffer =>
    encode({
      type: 'response',
      id: question.id,
      flags: RECURSION_DESIRED | RECURSION_AVAILABLE | (isCut ? TRUNCATED_RESPONSE : 0) | codes[rcode],
      questions: [{ name: question.asked, type: (numbers[question.type] ?? question.type) as RecordType }],
      answers: isCut ? [] : [...answers],
      additionals: question.hasEdns
        ? [
            {
              ...{ type: 'OPT', name: '.', udpPayloadSize: payloadBytes, extendedRcode: 0, ednsVersion: 0 },
              ...{ flags: 0, flag_do: false, options: [] },
            },
          ]
        : [],
    });
  const whole = message(false);
  return whole.length > maxBytes ? message(true) : whole;
}

/** The reply to a message of which only the header can be read. */
export function encodeError(id: number, rcode: ResponseCode): Buffer {
  return encode({ type: 'response', id, flags: RECURSION_AVAILABLE | codes[rcode] });
}
