import { askWitness, openCheckpoint, parseVerifierKey } from '@soulbox/audit';
import type { Log, SignedCheckpoint, Witness } from '@soulbox/audit';
import type { Clock, Logger } from '@soulbox/base';
import type { WitnessSetting } from '../witness-list.ts';

/** What a witness has done for one log. */
export interface WitnessState {
  readonly name: string;
  /** The size that it has signed last; 0 for none since the server started. */
  readonly size: number;
  /** When. Milliseconds since the Unix epoch. */
  readonly signedAt: number | undefined;
  /** Why it has not signed the last time that it was asked: a fixed word. */
  readonly problem: 'unreachable' | 'refused' | undefined;
}

/** Figures of a witness over all logs. */
export interface WitnessFigures {
  readonly name: string;
  readonly signatures: number;
  readonly failures: number;
}

/**
 * Gets checkpoints cosigned, in the background: nothing waits for a witness. Few requests are under way at once, and one
 * that fails is asked again only after a while.
 */
export interface Witnessing {
  /** Stores what witnesses have signed meanwhile, and asks them about the newest checkpoint. Call it as `Log.append`. */
  follow(teamId: string, log: Log): Promise<void>;
  stateOf(teamId: string): readonly WitnessState[];
  /** Whether the log has been without enough signatures for longer than the operator allows. */
  isOverdue(teamId: string): boolean;
  /** The number of logs with records that not enough witnesses have signed. */
  countBehind(): number;
  listFigures(): readonly WitnessFigures[];
}

export interface WitnessingOptions {
  readonly witnesses: readonly WitnessSetting[];
  readonly quorum: number;
  /** 0: never overdue. */
  readonly maxMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Logs that are shown to witnesses at the same moment. Each waits for at most 20 s. */
const asksMax = 4;
/** A log is shown at most once in this time: each answer costs writes. Milliseconds. */
const everyMs = 10_000;
/** How long a witness that does not answer is left alone; twice as long each time. Milliseconds. */
const restMs = { first: 10_000, max: 600_000 } as const;
/** How long a log is not shown to a witness that has refused it. Milliseconds. */
const refusedMs = 600_000;

interface Member extends Witness {
  readonly name: string;
  restsUntil: number;
  restMs: number;
  signatures: number;
  failures: number;
}

interface Answer {
  size: number;
  signedAt: number | undefined;
  problem: WitnessState['problem'];
  refusedUntil: number;
}

interface LogState {
  isAsking: boolean;
  nextAt: number;
  readonly answers: Map<Member, Answer>;
  /** Enough witnesses have signed this size. */
  witnessedSize: number;
  /** Since when there are records beyond it. */
  behindSince: number | undefined;
  /** Signed and not stored yet. */
  signed:
    | { readonly checkpoint: SignedCheckpoint; readonly lines: readonly string[]; readonly askedAt: number }
    | undefined;
}

export function createWitnessing({ witnesses, quorum, maxMs, clock, logger }: WitnessingOptions): Witnessing {
  const members: Member[] = witnesses.map(({ url, key }) => {
    const verifier = parseVerifierKey(key);
    return { url, verifier, name: verifier.name, restsUntil: 0, restMs: restMs.first, signatures: 0, failures: 0 };
  });
  const states = new Map<string, LogState>();
  let asking = 0;

  const askOne = async (
    { state, log, checkpoint }: { readonly state: LogState; readonly log: Log; readonly checkpoint: SignedCheckpoint },
    member: Member,
  ): Promise<string[]> => {
    const answer = state.answers.get(member) ?? { size: 0, signedAt: undefined, problem: undefined, refusedUntil: 0 };
    state.answers.set(member, answer);
    if (member.restsUntil > clock.now() || answer.refusedUntil > clock.now()) return [];
    const failed = (problem: 'unreachable' | 'refused', facts: object): string[] => {
      member.failures += 1;
      if (answer.problem !== problem)
        logger.warn({ witness: member.name, origin: log.origin, problem, ...facts }, 'a witness has not signed');
      answer.problem = problem;
      return [];
    };
    try {
      const given = await askWitness(log, member, answer.size, checkpoint);
      member.restMs = restMs.first;
      if (given.kind === 'refused') {
        answer.refusedUntil = clock.now() + refusedMs;
        return failed('refused', { status: given.status, size: given.size });
      }
      member.signatures += 1;
      Object.assign(answer, { size: checkpoint.size, signedAt: clock.now(), problem: undefined });
      return [given.signature.line];
    } catch (err) {
      member.restsUntil = clock.now() + member.restMs;
      member.restMs = Math.min(member.restMs * 2, restMs.max);
      return failed('unreachable', { err });
    }
  };
  const ask = async (state: LogState, log: Log): Promise<void> => {
    const { checkpoint } = log;
    const askedAt = clock.now();
    state.nextAt = askedAt + everyMs;
    state.isAsking = true;
    asking += 1;
    try {
      const lines = (await Promise.all(members.map((member) => askOne({ state, log, checkpoint }, member)))).flat();
      if (lines.length >= quorum) state.signed = { checkpoint, lines, askedAt };
    } finally {
      asking -= 1;
      state.isAsking = false;
    }
  };
  const begin = async (log: Log): Promise<LogState> => {
    const witnessed = await log.readWitnessed();
    const witnessedSize = witnessed === undefined ? 0 : openCheckpoint(witnessed, log.verifierKey).size;
    return { isAsking: false, nextAt: 0, answers: new Map(), witnessedSize, behindSince: undefined, signed: undefined };
  };

  return {
    async follow(teamId, log) {
      if (members.length === 0) return;
      const state = states.get(teamId) ?? (await begin(log));
      states.set(teamId, state);
      const { signed } = state;
      state.signed = undefined;
      if (signed !== undefined) {
        await log.addSignatures(signed.checkpoint, signed.lines);
        Object.assign(state, { witnessedSize: signed.checkpoint.size, behindSince: undefined });
      }
      if (log.checkpoint.size <= state.witnessedSize) return;
      state.behindSince ??= signed?.askedAt ?? clock.now();
      if (!state.isAsking && asking < asksMax && clock.now() >= state.nextAt) void ask(state, log);
    },
    stateOf(teamId) {
      const answers = states.get(teamId)?.answers;
      return members.map((member) => {
        const { size = 0, signedAt, problem } = answers?.get(member) ?? {};
        return { name: member.name, size, signedAt, problem };
      });
    },
    isOverdue(teamId) {
      const since = states.get(teamId)?.behindSince;
      return maxMs > 0 && since !== undefined && clock.now() - since > maxMs;
    },
    countBehind: () => [...states.values()].filter(({ behindSince }) => behindSince !== undefined).length,
    listFigures: () => members.map(({ name, signatures, failures }) => ({ name, signatures, failures })),
  };
}
