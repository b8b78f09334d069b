import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@soulbox/base';

/**
 * What the driver must remember of a sandbox, in `container.json` of its folder: `starting` is written before anything
 * exists, `running` after the last step. All else is found by name.
 */
export type ContainerRecord =
  | { readonly state: 'starting' }
  | {
      readonly state: 'running';
      /** Pids start anew with each boot. */
      readonly bootId: string;
      readonly initPid: number;
      readonly initStartTicks: number;
    };

export async function writeRecord(path: string, record: ContainerRecord): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(record));
}

/** Undefined when there is none or it is not whole. */
export async function findRecord(path: string): Promise<ContainerRecord | undefined> {
  try {
    return parseRecord(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

function parseRecord(value: unknown): ContainerRecord | undefined {
  if (typeof value !== 'object' || value === null || !('state' in value)) return undefined;
  if (value.state === 'starting') return { state: 'starting' };
  if (value.state !== 'running' || !('bootId' in value && 'initPid' in value && 'initStartTicks' in value))
    return undefined;
  const { bootId, initPid, initStartTicks } = value;
  if (typeof bootId !== 'string' || typeof initPid !== 'number' || typeof initStartTicks !== 'number') return undefined;
  return { state: 'running', bootId, initPid, initStartTicks };
}
