/** After the last request of a sandbox: the next one, if it comes at once, needs no report. */
const lingerMs = 250;

export interface VisitReport {
  readonly opened: string[];
  readonly closed: string[];
}

/** Counts open requests by sandbox, and tells when the first begins and a moment after the last has ended. */
export interface Visits extends Disposable {
  enter(sandboxId: string): Disposable;
  /** All that are open: for a runner that knows of none. */
  open(): string[];
}

/** One report is under way at a time; what changes meanwhile goes with the next. `report` never throws. */
export function createVisits(report: (changes: VisitReport) => Promise<void>): Visits {
  const counts = new Map<string, { open: number; timer: NodeJS.Timeout | undefined }>();
  const changes = new Map<string, boolean>();
  let busy = false;

  const flush = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    // What one turn changes goes out as one.
    await Promise.resolve();
    while (changes.size > 0) {
      const opened = [...changes].filter(([, isOpen]) => isOpen).map(([sandboxId]) => sandboxId);
      const closed = [...changes].filter(([, isOpen]) => !isOpen).map(([sandboxId]) => sandboxId);
      changes.clear();
      await report({ opened, closed });
    }
    busy = false;
  };
  const change = (sandboxId: string, isOpen: boolean): void => {
    changes.set(sandboxId, isOpen);
    void flush();
  };

  return {
    enter(sandboxId) {
      const count = counts.get(sandboxId) ?? { open: 0, timer: undefined };
      if (!counts.has(sandboxId)) {
        counts.set(sandboxId, count);
        change(sandboxId, true);
      }
      clearTimeout(count.timer);
      count.open += 1;
      let isOpen = true;
      return {
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          count.open -= 1;
          if (count.open > 0) return;
          count.timer = setTimeout(() => {
            counts.delete(sandboxId);
            change(sandboxId, false);
          }, lingerMs);
          count.timer.unref();
        },
      };
    },
    open: () => [...counts.keys()],
    [Symbol.dispose]() {
      for (const { timer } of counts.values()) clearTimeout(timer);
    },
  };
}
