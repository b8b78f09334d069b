import type { EgressReason } from '@soulbox/contract';
import type { ConnectionLog } from '../log/connection-log.ts';
import { judgeLookup } from '../judge/judge-lookup.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';
import type { PolicyEntry, PolicyTable } from '../policies/policy-table.ts';
import { createTokenBucket } from '../policies/token-bucket.ts';
import type { TokenBucket } from '../policies/token-bucket.ts';
import type { Lookups } from './lookups.ts';
import { readQuestion } from './question.ts';
import type { Question } from './question.ts';
import { encodeError, encodeReply } from './reply.ts';
import type { ResponseCode } from './reply.ts';
import type { Resolution } from './resolution.ts';

/** Look-ups of one sandbox: per second, at once, and those that wait for a name server. */
const lookupsPerSecond = 200;
const lookupsBurst = 400;
const waitingMax = 64;

/** The largest reply over TCP. */
export const tcpReplyMaxBytes = 0xffff;

/** Answers a message from the address of a sandbox. Undefined: it gets no reply. Never rejects. */
export type AnswerMessage = (address: string, message: Buffer, over: 'udp' | 'tcp') => Promise<Buffer | undefined>;

interface SandboxLookups {
  readonly rate: TokenBucket;
  waiting: number;
}

export function createAnswerer(options: {
  readonly table: PolicyTable;
  readonly lookups: Lookups;
  readonly isOpen: (address: string) => boolean;
  readonly log: ConnectionLog;
}): AnswerMessage {
  const { table, lookups, isOpen, log } = options;
  const states = new WeakMap<PolicyEntry, SandboxLookups>();
  const stateOf = (entry: PolicyEntry): SandboxLookups => {
    const known = states.get(entry);
    if (known !== undefined) return known;
    const rate = createTokenBucket(lookupsPerSecond, lookupsBurst);
    const state = { rate, waiting: 0 };
    states.set(entry, state);
    return state;
  };
  const record = (sandbox: PolicedSandbox, name: string, rule: string, reason: EgressReason | ''): void => {
    const { sandboxId, teamId } = sandbox;
    log.addLookup({
      ...{ sandboxId, teamId, startedAtMs: Date.now(), durationMs: 0, protocol: 'dns', name, address: '', port: 53 },
      ...{ rule, isAllowed: reason === '', reason, bytesSent: 0, bytesReceived: 0, method: '', path: '' },
    });
  };

  const decide = async (
    entry: PolicyEntry,
    { name, type }: Question,
  ): Promise<{ rcode: ResponseCode; answers: Resolution['answers'] }> => {
    const sandbox = entry.current;
    const state = stateOf(entry);
    const refuse = (rcode: ResponseCode, reason: EgressReason, rule = ''): { rcode: ResponseCode; answers: [] } => {
      record(sandbox, name, rule, reason);
      return { rcode, answers: [] };
    };
    if (!state.rate.tryTake(1) || state.waiting >= waitingMax) return refuse('REFUSED', 'rate_limit');
    const verdict = judgeLookup(sandbox, name, type);
    if (verdict.kind === 'empty') return { rcode: 'NOERROR', answers: [] };
    if (verdict.kind !== 'forward')
      return refuse(verdict.kind === 'nxdomain' ? 'NXDOMAIN' : 'REFUSED', verdict.reason, verdict.rule);
    // The operator's name server may know names of a private network by their addresses.
    if (type === 'PTR' && !isPublicReverse(name, isOpen)) return refuse('NXDOMAIN', 'forbidden_address');
    if (verdict.isFree && entry.tunnel.isSuspect(name, type))
      return refuse('REFUSED', 'tunnel_suspected', verdict.rule);
    state.waiting += 1;
    try {
      const found = await lookups.find(sandbox.teamId, name, type);
      if (found.hasForbidden) record(sandbox, name, verdict.rule, 'forbidden_address');
      else if (sandbox.isLearning) record(sandbox, name, verdict.rule, '');
      return { rcode: found.rcode, answers: found.answers };
    } finally {
      state.waiting -= 1;
    }
  };
  return async (address, message, over) => {
    const entry = table.find(address);
    const read = readQuestion(message);
    if (read.kind === 'ignored') return undefined;
    const id = message.readUInt16BE(0);
    if (read.kind === 'bad') return encodeError(id, read.rcode);
    if (entry === undefined) return encodeError(id, 'REFUSED');
    const { rcode, answers } = await decide(entry, read.question);
    try {
      return encodeReply(
        read.question,
        rcode,
        answers,
        over === 'udp' ? read.question.answerMaxBytes : tcpReplyMaxBytes,
      );
    } catch {
      // A record that dns-packet can read but not write.
      return encodeError(id, 'SERVFAIL');
    }
  };
}

/** Whether a name of `in-addr.arpa` belongs to a public address. Names of other trees are of no use in a sandbox. */
function isPublicReverse(name: string, isOpen: (address: string) => boolean): boolean {
  const [, ...parts] = /^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.in-addr\.arpa$/.exec(name) ?? [];
  return parts.length === 4 && isOpen(parts.reverse().join('.'));
}
