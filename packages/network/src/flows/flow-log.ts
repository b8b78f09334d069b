import { writeFileSync } from 'node:fs';
import type { Logger } from '@soulbox/base';
import { createAddressPlan } from '../address-plan.ts';
import type { Cidr } from '../cidr.ts';
import { parseEgressPolicy } from '../policy.ts';
import type { EgressPolicy, ParsedPolicy } from '../policy.ts';
import { refusalPrefix, unloggedSets } from '../ruleset.ts';
import { openEndedFlows } from './ended-flows.ts';
import type { EndedFlow } from './ended-flows.ts';
import { ruleFor, whyRefused } from './judge.ts';
import type { Judgement } from './judge.ts';
import { openReadMark } from './read-mark.ts';
import { openRefusedPackets } from './refused-packets.ts';
import type { RefusedPacket } from './refused-packets.ts';
import { readAddressCounters } from './unlogged-counters.ts';

/** How often events are read. Milliseconds. */
const roundMs = 250;
/** Events of one round: about 20 ms of work. More wait in the kernel, which drops what exceeds its buffers. */
const roundMax = 2000;
/** How often the connections that were too many for the log are read. Rounds. */
const countersEvery = 8;
/** Equal refused packets of a sandbox are told once in this time. Milliseconds. */
const sameMs = 10_000;
const sameMax = 10_000;
/** Sandboxes are told of lost events once in this time. Milliseconds. */
const lossMs = 10_000;
/** Policies of a sandbox that are known, to find the one that judged a connection. */
const policiesMax = 8;

/** What the packet filter did with a connection, once it has ended or was refused. */
export interface FlowRecord {
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'other';
  /** Empty, with port 0, for `not_logged` and `log_gap`. */
  readonly address: string;
  readonly port: number;
  readonly rule: string;
  readonly isAllowed: boolean;
  /**
   * Empty: it ended normally. `not_logged`: `count` connections or refused packets, which were too many to be told one by
   * one. `log_gap`: connections that ended in this time may be missing; without a duration, it is not known since when.
   */
  readonly reason: '' | 'forbidden_address' | 'denied' | 'not_allowed' | 'connection_limit' | 'not_logged' | 'log_gap';
  /** With the headers of IP. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Connections that the record stands for. */
  readonly count: number;
}

export interface FlowLogOptions {
  readonly instance: number;
  readonly base?: string | undefined;
  readonly logger: Logger;
  /** The file, in a file system in memory, that says until when an earlier log has read. */
  readonly markFile?: string | undefined;
  /** Gets each record with the policy that judged it, as it was given to `put`. */
  readonly onRecord: (record: FlowRecord, policy: EgressPolicy) => void;
}

/** Logs the connections that the packet filter judges alone. The network tells it who has which slot. */
export interface FlowLog extends Disposable {
  /** The log group of the packet filter from which it reads. */
  readonly group: number;
  /** Ranges that no sandbox reaches. */
  setDenied(denied: readonly Cidr[]): void;
  /** The slot gets an owner, whose policy follows. */
  begin(slot: number): void;
  /**
   * The slot has this policy from now on. If its owner is unknown, it was there before this log, which then says that
   * connections may be missing since an earlier log has read.
   */
  put(slot: number, policy: EgressPolicy): void;
  /**
   * All slots that had an owner before this log have their policy. Only from now on the file says that this log has
   * read: a start that fails before must not hide since when connections may be missing.
   */
  noteAdopted(): void;
  /** Records what the slot has done, and forgets its owner. All of its connections must have ended. */
  end(slot: number): void;
}

interface Owner {
  /** Oldest first. */
  readonly policies: { readonly sinceMs: number; readonly given: EgressPolicy; readonly parsed: ParsedPolicy }[];
  /** The counters of what was too much for the log, when they were read last. */
  readonly unlogged: Record<keyof typeof unloggedSets, number>;
}

const protocols: Readonly<Record<number, FlowRecord['protocol']>> = { 1: 'icmp', 6: 'tcp', 17: 'udp' };
const tcp = 6;
const overLimit: Judgement = { rule: '', reason: 'connection_limit' };
/** Of instance 0. Other programs use low numbers. */
const firstGroup = 23_000;

/** Undefined, with a warning, if the kernel does not tell about connections. */
export function openFlowLog(options: FlowLogOptions): FlowLog | undefined {
  try {
    return startFlowLog(options);
  } catch (err) {
    options.logger.warn(
      { err },
      'connections that the packet filter judges alone are not logged: no connection events',
    );
    return undefined;
  }
}

function startFlowLog({ instance, base, logger, markFile, onRecord }: FlowLogOptions): FlowLog {
  const plan = createAddressPlan(instance, base);
  const group = firstGroup + instance;
  using opening = new DisposableStack();
  const flows = opening.use(openEndedFlows(plan.base));
  const refusals = opening.use(openRefusedPackets(group));
  countConnections(logger);
  const mark = openReadMark(markFile, logger);
  const owners = new Map<number, Owner>();
  const told = new Map<string, number>();
  let denied: readonly Cidr[] = [];
  let lastReadMs = Date.now();
  let lossSinceMs: number | undefined;
  let nextLossMs = 0;
  let rounds = 0;
  let isAdopted = false;

  const slotOf = (address: number): number => address - plan.base.address;
  const policyAt = (slot: number, atMs: number): Owner['policies'][number] | undefined => {
    const policies = owners.get(slot)?.policies;
    return policies?.findLast(({ sinceMs }) => sinceMs <= atMs) ?? policies?.[0];
  };
  const tellFlow = (flow: EndedFlow): void => {
    const policy = policyAt(slotOf(flow.source), flow.startedAtMs);
    if (policy === undefined) return;
    const { protocol, address, port, startedAtMs, bytesSent, bytesReceived } = flow;
    const rule = ruleFor(policy.parsed, flow);
    const durationMs = flow.endedAtMs - startedAtMs;
    const record = { startedAtMs, durationMs, address, port, rule, bytesSent, bytesReceived };
    const named = protocols[protocol] ?? 'other';
    onRecord({ ...record, protocol: named, isAllowed: true, reason: '', count: 1 }, policy.given);
  };
  const tellRefusal = (packet: RefusedPacket, nowMs: number): void => {
    const { prefix } = packet;
    const isRedirected = prefix === refusalPrefix.redirected && packet.isToHost;
    const slot = isFrom(prefix) ? slotOf(packet.source) : Number(prefix);
    const policy = policyAt(slot, nowMs);
    if (policy === undefined) return;
    // What was redirected has the address of the egress process by now.
    const { protocol, address, port } = isRedirected ? { ...packet, address: '', port: 0 } : packet;
    if (protocol !== tcp && !isNew(told, `${slot} ${protocol} ${address} ${port}`, nowMs)) return;
    const { rule, reason } = isRedirected ? overLimit : judgementOf(policy.parsed, packet);
    const record = { startedAtMs: nowMs, durationMs: 0, address, port, rule, reason, bytesSent: 0, bytesReceived: 0 };
    onRecord({ ...record, protocol: protocols[protocol] ?? 'other', isAllowed: false, count: 1 }, policy.given);
  };
  const judgementOf = (policy: ParsedPolicy, packet: RefusedPacket): Judgement =>
    packet.prefix === refusalPrefix.refused && packet.isToHost
      ? { rule: '', reason: 'forbidden_address' }
      : whyRefused(policy, denied, packet);
  const tellSum = (
    slot: number,
    sum: Pick<FlowRecord, 'reason' | 'startedAtMs' | 'count'> & { readonly isAllowed?: boolean },
  ): void => {
    const nowMs = Date.now();
    const policy = policyAt(slot, nowMs);
    if (policy === undefined) return;
    const nothing = { protocol: 'other', address: '', port: 0, rule: '', bytesSent: 0, bytesReceived: 0 } as const;
    // The clock may have been set back in the meantime.
    const durationMs = Math.max(0, nowMs - sum.startedAtMs);
    onRecord({ ...nothing, isAllowed: true, ...sum, durationMs }, policy.given);
  };
  const counted = { allowed: new Map<number, number>(), refused: new Map<number, number>() };
  const readCounters = (): void => {
    counted.allowed = readAddressCounters(plan.table, unloggedSets.allowed);
    counted.refused = readAddressCounters(plan.table, unloggedSets.refused);
  };
  const tellUnlogged = (slot: number, owner: Owner, startedAtMs: number): void => {
    for (const verdict of ['allowed', 'refused'] as const) {
      const now = counted[verdict].get(plan.base.address + slot) ?? 0;
      const count = now - owner.unlogged[verdict];
      // Below 0: the table was made again.
      if (count > 0) tellSum(slot, { reason: 'not_logged', startedAtMs, count, isAllowed: verdict === 'allowed' });
      owner.unlogged[verdict] = now;
    }
  };
  const read = (max: number): void => {
    const nowMs = Date.now();
    const ended = flows.read(max);
    const refused = refusals.read(max);
    for (const flow of ended.flows) tellFlow(flow);
    for (const packet of refused.packets) tellRefusal(packet, nowMs);
    if (ended.hasLost || refused.hasLost) lossSinceMs ??= lastReadMs;
    lastReadMs = nowMs;
    if (lossSinceMs === undefined || nowMs < nextLossMs) return;
    logger.warn({ sandboxes: owners.size }, 'the kernel has dropped events of connections: too many at once');
    for (const slot of owners.keys()) tellSum(slot, { reason: 'log_gap', startedAtMs: lossSinceMs, count: 1 });
    lossSinceMs = undefined;
    nextLossMs = nowMs + lossMs;
  };
  const readUnlogged = (): void => {
    readCounters();
    const startedAtMs = Date.now() - roundMs * countersEvery;
    for (const [slot, owner] of owners) tellUnlogged(slot, owner, startedAtMs);
  };
  const round = async (): Promise<void> => {
    read(roundMax);
    rounds += 1;
    if (isAdopted && rounds % countersEvery === 0) mark.write(lastReadMs);
    if (rounds % countersEvery === 0 && owners.size > 0) readUnlogged();
    await flows.forgetEnded();
  };
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    round()
      .catch((err: unknown) => logger.error({ err }, 'events of connections could not be read'))
      .finally(() => (isBusy = false));
  }, roundMs);
  const opened = opening.move();
  return {
    group,
    setDenied: (ranges) => void (denied = ranges),
    begin: (slot) => void addOwner(slot),
    put(slot, given) {
      const isFound = !owners.has(slot);
      const owner = owners.get(slot) ?? addOwner(slot);
      owner.policies.push({ sinceMs: Date.now(), given, parsed: parseEgressPolicy(given) });
      if (owner.policies.length > policiesMax) owner.policies.shift();
      if (isFound) tellSum(slot, { reason: 'log_gap', startedAtMs: mark.foundMs ?? Date.now(), count: 1 });
    },
    noteAdopted() {
      isAdopted = true;
      mark.write(lastReadMs);
    },
    end(slot) {
      const owner = owners.get(slot);
      if (owner === undefined) return;
      // Whatever is in the kernel's buffers may be of this slot, whose next owner must not get it.
      read(Infinity);
      readCounters();
      tellUnlogged(slot, owner, Date.now() - roundMs);
      owners.delete(slot);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      if (isAdopted) mark.write(lastReadMs);
      opened.dispose();
    },
  };

  function addOwner(slot: number): Owner {
    readCounters();
    const address = plan.base.address + slot;
    const unlogged = { allowed: counted.allowed.get(address) ?? 0, refused: counted.refused.get(address) ?? 0 };
    const owner: Owner = { policies: [], unlogged };
    owners.set(slot, owner);
    return owner;
  }
}

/** Whether the packet has the address of its slot. */
const isFrom = (prefix: string): boolean => Object.values<string>(refusalPrefix).includes(prefix);

/** Whether this was not told in the last seconds. */
function isNew(told: Map<string, number>, key: string, nowMs: number): boolean {
  const last = told.get(key);
  if (last !== undefined && nowMs - last < sameMs) return false;
  told.delete(key);
  told.set(key, nowMs);
  const [oldest] = told.keys();
  if (told.size > sameMax && oldest !== undefined) told.delete(oldest);
  return true;
}

/** Makes the kernel keep the bytes and times of new connections. It needs 32 bytes for each. */
function countConnections(logger: Logger): void {
  for (const name of ['nf_conntrack_acct', 'nf_conntrack_timestamp']) {
    try {
      writeFileSync(`/proc/sys/net/netfilter/${name}`, '1');
    } catch (err) {
      logger.warn({ err, name }, 'the log of connections has no bytes or no times: the kernel does not keep them');
    }
  }
}
