/** How long a visit lasts after the last request of a sandbox. A request that follows at once needs no report. */
const keptMs = 250;

export interface VisitReport {
  readonly opened: string[];
  readonly closed: string[];
}

/** Counts open requests per sandbox. Reports when the first one begins, and a moment after the last one has ended. */
export interface Visits extends Disposable {
  enter(sandboxId: string): Disposable;
  /** All open visits, for a runner that knows of none. */
  open(): string[];
}

/** Only one report runs at a time; changes during it go into the next one. `report` never throws. */
export function createVisits(report: (changes: VisitReport) => Promise<void>): Visits {
  const counts = new Map<string, { open: number; timer: NodeJS.Timeout | undefined }>();
  const changes = new Map<string, boolean>();
  let busy = false;

  const flush = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    // All changes of one turn of the event loop go into one report.
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
          }, keptMs);
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
