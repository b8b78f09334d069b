/**
 * Remembers in which order the members of a group were read first, and says at the next time what will be read soon. A
 * group is, for example, one content in chunks; a _run_ is one time that it is read, such as a start of a sandbox.
 */
export interface AccessOrder {
  /** A member is read. Returns the members that should be read ahead of their readers, the next one first. */
  note(group: string, member: string): readonly string[];
  /** Whether nothing is known of the group, so that an order from elsewhere is welcome. */
  isUnknown(group: string): boolean;
  /** An order from elsewhere. What is not valid is ignored: it can only make reads that nobody needs. */
  learn(group: string, order: unknown): void;
  /** Orders of the runs that have ended since the last call, to be kept elsewhere. */
  takeEnded(): readonly { readonly group: string; readonly order: readonly string[] }[];
}

export interface AccessOrderOptions {
  /** Members that are read ahead, beyond the furthest one that was asked for. */
  readonly ahead: number;
  /** A run ends when the group was not read for this time. Milliseconds. Default 10 s. */
  readonly idleMs?: number;
  /** Groups that are remembered; that which was not read for the longest time is forgotten. Default 256. */
  readonly groupsMax?: number;
  /** Of a group. Those after them are neither recorded nor read ahead. Default 4096. */
  readonly membersMax?: number;
  /** A clock in milliseconds that never goes back. */
  readonly now?: () => number;
}

/** A longer name of a member is not recorded. */
const memberMaxLength = 64;
/** After so many reads beyond those that were foreseen, the order is not believed in this run. */
const surprisesMax = 8;

interface Group {
  /** Of the run before. Empty: unknown. */
  order: readonly string[];
  places: ReadonlyMap<string, number>;
  run: Run | undefined;
}

interface Run {
  readonly seen: Set<string>;
  lastAt: number;
  /** In the order: what is before it was asked for or read ahead. */
  next: number;
  surprises: number;
  foreseen: number;
}

export function createAccessOrder(options: AccessOrderOptions): AccessOrder {
  const { ahead, idleMs = 10_000, groupsMax = 256, membersMax = 4096, now = () => performance.now() } = options;
  // In the order of their last use.
  const groups = new Map<string, Group>();
  let ended: { group: string; order: readonly string[] }[] = [];

  const use = (name: string): Group => {
    const group = groups.get(name) ?? { order: [], places: new Map<string, number>(), run: undefined };
    groups.delete(name);
    groups.set(name, group);
    if (groups.size > groupsMax) {
      const [oldest] = groups.keys();
      if (oldest !== undefined) groups.delete(oldest);
    }
    return group;
  };
  const setOrder = (group: Group, order: readonly string[]): void => {
    group.order = order;
    group.places = new Map(order.map((member, place) => [member, place]));
  };
  const endRun = (name: string, group: Group): void => {
    const { run } = group;
    if (run === undefined) return;
    group.run = undefined;
    // A run that was broken off says less than the one before it.
    if (2 * run.seen.size < group.order.length && !isGivenUp(run)) return;
    setOrder(group, [...run.seen]);
    ended.push({ group: name, order: group.order });
    if (ended.length > groupsMax) ended.shift();
  };
  const foresee = (group: Group, run: Run, member: string): readonly string[] => {
    const place = group.places.get(member);
    if (place === undefined) run.surprises += 1;
    else run.foreseen += 1;
    if (isGivenUp(run) || place === undefined) return [];
    const from = Math.max(run.next, place + 1);
    const to = Math.min(group.order.length, Math.max(from, place + 1 + ahead));
    run.next = to;
    return group.order.slice(from, to).filter((each) => !run.seen.has(each));
  };
  return {
    note(name, member) {
      const group = use(name);
      if (group.run !== undefined && now() - group.run.lastAt > idleMs) endRun(name, group);
      group.run ??= { seen: new Set(), lastAt: 0, next: 0, surprises: 0, foreseen: 0 };
      const { run } = group;
      run.lastAt = now();
      if (run.seen.has(member)) return [];
      if (member.length <= memberMaxLength && run.seen.size < membersMax) run.seen.add(member);
      return group.order.length === 0 ? [] : foresee(group, run, member);
    },
    isUnknown: (name) => (groups.get(name)?.order.length ?? 0) === 0,
    learn(name, order) {
      if (!isOrder(order, membersMax)) return;
      const group = use(name);
      if (group.order.length === 0) setOrder(group, [...new Set(order)]);
    },
    takeEnded() {
      for (const [name, group] of groups)
        if (group.run !== undefined && now() - group.run.lastAt > idleMs) endRun(name, group);
      const taken = ended;
      ended = [];
      return taken;
    },
  };
}

function isGivenUp({ surprises, foreseen }: Run): boolean {
  return surprises > surprisesMax + foreseen;
}

function isOrder(value: unknown, membersMax: number): value is readonly string[] {
  if (!Array.isArray(value) || value.length > membersMax) return false;
  return value.every((member) => typeof member === 'string' && member.length > 0 && member.length <= memberMaxLength);
}
