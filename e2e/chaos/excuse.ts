import { setTimeout as sleep } from 'node:timers/promises';

const waitMs = 100;
/** The API learns about an end a moment after the runner. */
const patienceMs = 3000;

/** The remaining broken promises, and those that only a killed CRIU explains. */
export interface Judged {
  readonly violations: readonly string[];
  readonly excused: readonly string[];
}

/**
 * If CRIU is killed during a save, a process of the sandbox may die with it. If that is the first process, the sandbox
 * ends. This cannot be prevented, but it must be reported: the last event of the sandbox must say so.
 */
export async function excuseVictims(
  violations: readonly string[],
  victims: ReadonlySet<string>,
  environment: Readonly<Record<string, string>>,
): Promise<Judged> {
  const judged = { violations: [] as string[], excused: [] as string[] };
  for (const violation of violations) {
    const [sandboxId = ''] = violation.split(' ');
    const isExcused = victims.has(sandboxId) && (await isExplained(violation, sandboxId, environment));
    (isExcused ? judged.excused : judged.violations).push(violation);
  }
  return judged;
}

async function isExplained(
  violation: string,
  sandboxId: string,
  environment: Readonly<Record<string, string>>,
): Promise<boolean> {
  // A missing process prints nothing. A process restored from another time would print something else.
  if (violation.endsWith('its memory says "" instead of what it was told')) return true;
  const giveUpAt = Date.now() + patienceMs;
  for (;;) {
    const cause = await readCause(sandboxId, environment);
    if (cause !== undefined || Date.now() > giveUpAt) return cause === 'failed' || cause === 'lost';
    await sleep(waitMs);
  }
}

/** Why it ended, according to its last event. Undefined while there is none. */
async function readCause(
  sandboxId: string,
  environment: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const path = `/events/sandboxes/${sandboxId}?types=sandbox.lifecycle.killed`;
  const headers = { 'X-API-Key': environment['E2B_API_KEY'] ?? '' };
  const response = await fetch(`${environment['E2B_API_URL'] ?? ''}${path}`, { headers });
  return ((await response.json()) as { eventData: { cause: string } }[])[0]?.eventData.cause;
}
