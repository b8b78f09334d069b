import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a count has not changed for 300 ms, and returns it. */
export async function settled(count: () => number): Promise<number> {
  for (let before = -1; ;) {
    const now = count();
    if (now === before) return now;
    before = now;
    await sleep(300);
  }
}
