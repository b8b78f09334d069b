import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, run } from '@soulbox/base';
import { recordsFileName } from '@soulbox/storage/records-file';
import { listHostTraces } from '@soulbox/testing';

/** Every kind of object that a sandbox could leave behind, in the order of the report. */
export const leftoverKinds = [
  'process',
  'namespace',
  'mount',
  'veth',
  'nft',
  'cgroup',
  'loop',
  'crun',
  'folder',
  'state',
  'layer',
  'row',
  'stored',
] as const;

const idsPerInstance = 2 ** 28;

/** The kernel removes namespaces and dead processes some time after the calls that end them. */
const settleMs = 5000;

/** Leftovers on this host of an instance whose sandboxes have ended and whose server has stopped, one line each. */
export async function listLeftovers(instance: number, dataDirectory: string): Promise<string[]> {
  const giveUpAt = Date.now() + settleMs;
  for (;;) {
    // lsns fails when a process ends while it is read.
    const found = await listNow(instance, dataDirectory).catch((error: unknown) => {
      if (error instanceof CommandError && Date.now() <= giveUpAt) return undefined;
      throw error;
    });
    if (found?.length === 0 || (found !== undefined && Date.now() > giveUpAt)) return found;
    await sleep(100);
  }
}

async function listNow(instance: number, dataDirectory: string): Promise<string[]> {
  return [
    ...(await listHostTraces(instance, dataDirectory)),
    ...(await listNamespaces(instance)),
    ...listNames(join(dataDirectory, 'states'), 'state'),
    ...listNames(join(dataDirectory, 'layers'), 'layer'),
    ...listRows(dataDirectory),
  ];
}

/** Namespaces with a process of the instance's ids, and namespaces that are held only by a mount. */
async function listNamespaces(instance: number): Promise<string[]> {
  const first = (instance + 1) * idsPerInstance;
  const columns = 'NS,TYPE,PID,UID';
  const { namespaces } = JSON.parse(await run('lsns', ['--json', '--output', columns])) as {
    namespaces: { ns: number | string; type: string; pid: number | string | null; uid: number | string | null }[];
  };
  const populated = namespaces
    .filter(({ uid }) => Number(uid) >= first && Number(uid) < first + idsPerInstance)
    .map(({ ns, type }) => `namespace ${type} ${ns}`);
  const held = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(' - nsfs ') && line.includes(`soulbox-${instance}/`))
    .map((line) => `namespace held at ${line.split(' ')[4] ?? '?'}`);
  return [...populated, ...held];
}

/** Checkpoints and frozen disks that nobody needs any more. */
function listNames(folder: string, kind: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => `${kind} ${join(folder, name)}`) : [];
}

/** Sandboxes and creations that the control plane still has in its records. */
function listRows(dataDirectory: string): string[] {
  const file = join(dataDirectory, recordsFileName);
  if (!existsSync(file)) return [];
  using db = new DatabaseSync(file, { readOnly: true });
  const rows = db
    .prepare(
      "SELECT id, 'sandbox' AS kind FROM sandboxes WHERE state <> 'ended' UNION ALL SELECT id, 'creation' FROM creations",
    )
    .all();
  return rows.map(({ id, kind }) => `row ${String(kind)} ${String(id)}`);
}

/** Counts by kind. A kind that is not listed above gets its own count, so nothing is lost. */
export function countLeftovers(leftovers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(leftoverKinds.map((kind) => [kind, 0]));
  for (const line of leftovers) {
    const [kind = '?'] = line.split(' ');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
