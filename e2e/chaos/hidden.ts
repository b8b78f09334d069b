import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerProcess } from '@soulbox/testing';

/** A step in progress may be visible on one side a moment earlier than on the other. */
const settleMs = 3000;
/** States in which a tenant has a sandbox: see the runner's table of states. */
const tenantStates: ReadonlySet<string> = new Set(['running', 'pausing', 'paused', 'resuming', 'snapshotting']);

/** Describes sandboxes that the runner keeps for a tenant and that no list of the API shows. */
export async function findHidden(server: ServerProcess): Promise<string[]> {
  const giveUpAt = Date.now() + settleMs;
  for (;;) {
    const [kept, shown] = [await listKept(server.dataDirectory), await listShown(server)];
    const hidden = kept.filter((sandboxId) => !shown.has(sandboxId));
    if (hidden.length === 0 || Date.now() > giveUpAt) return hidden.map((sandboxId) => `${sandboxId} is hidden`);
    await sleep(200);
  }
}

async function listKept(dataDirectory: string): Promise<string[]> {
  const folder = join(dataDirectory, 'sandboxes');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const kept = await Promise.all(
    names.map(async (name) => {
      // A sandbox that ends at this moment no longer has a file.
      const text = await readFile(join(folder, name), 'utf8').catch(() => '{}');
      const { state = '' } = JSON.parse(text) as { state?: string };
      return tenantStates.has(state) ? [name.slice(0, -'.json'.length)] : [];
    }),
  );
  return kept.flat();
}

async function listShown({ clientEnvironment }: ServerProcess): Promise<Set<string>> {
  const shown = new Set<string>();
  let next = '';
  do {
    const url = `${clientEnvironment['E2B_API_URL'] ?? ''}/v2/sandboxes?limit=100${next === '' ? '' : `&nextToken=${next}`}`;
    const response = await fetch(url, { headers: { 'X-API-Key': clientEnvironment['E2B_API_KEY'] ?? '' } });
    for (const { sandboxID } of (await response.json()) as { sandboxID: string }[]) shown.add(sandboxID);
    next = encodeURIComponent(response.headers.get('x-next-token') ?? '');
  } while (next !== '');
  return shown;
}
