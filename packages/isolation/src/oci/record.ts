import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@soulbox/base';

/**
 * What the driver must remember of a sandbox, in `container.json` of its folder: `starting` is written before anything
 * exists, `running` after the last step. All other objects are found by name.
 */
export type ContainerRecord = { readonly state: 'starting' } | RunningRecord;

export interface RunningRecord {
  readonly state: 'running';
  /** Pids start again with each boot. */
  readonly bootId: string;
  readonly initPid: number;
  readonly initStartTicks: number;
  /**
   * For containers only: the owner of the user namespace, as an id of the host. The sandbox's own first id after a
   * start, 0 after a restore.
   */
  readonly namespaceOwner?: number;
}

export async function writeRecord(path: string, record: ContainerRecord): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(record));
}

/** Undefined if there is none or it is incomplete. */
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
  if (value.state !== 'running' || !isRunningRecord(value)) return undefined;
  const { bootId, initPid, initStartTicks, namespaceOwner } = value;
  const running = { state: 'running', bootId, initPid, initStartTicks } as const;
  return namespaceOwner === undefined ? running : { ...running, namespaceOwner };
}

function isRunningRecord(value: object): value is RunningRecord {
  const { bootId, initPid, initStartTicks, namespaceOwner = 0 } = value as Record<string, unknown>;
  return typeof bootId === 'string' && [initPid, initStartTicks, namespaceOwner].every(Number.isInteger);
}
