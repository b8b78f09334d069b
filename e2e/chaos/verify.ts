import { Sandbox } from 'e2b';
import type { CycleContext, Told } from './cycle-context.ts';
import { findInfo, runCommand } from './cycle-context.ts';
import { untilAnswered } from './patience.ts';

/** Checks that each kept sandbox is as it was reported at its creation: same deadline, same token, still working. */
export async function verifyKept(context: CycleContext): Promise<void> {
  for (const told of context.kept) {
    const { sandboxId } = told.sandbox;
    const complain = (text: string): void => {
      context.violations.push(`${sandboxId} (kept): ${text}`);
    };
    const info = await findInfo(context, sandboxId);
    if (info === undefined) {
      complain('is gone');
      continue;
    }
    if (info.endAt.getTime() !== told.endAtMs) complain(`its deadline moved to ${info.endAt.toISOString()}`);
    const token = await readToken(sandboxId);
    if (token !== told.token) complain('its token is another one');
    const output = await runCommand(context, told);
    if (output !== 'fine') complain(output);
    await checkForeignToken(told, complain);
  }
}

/** Ends all running sandboxes, known or not. An interrupted create may have left a sandbox until its deadline. */
export async function endEverything(): Promise<number> {
  let ended = 0;
  for (;;) {
    const page = await untilAnswered(
      async () => await Sandbox.list({ limit: 100 }).nextItems(),
      () => undefined,
    );
    if (page.length === 0) {
      await deleteSnapshots();
      return ended;
    }
    await Promise.all(page.map(async ({ sandboxId }) => await Sandbox.kill(sandboxId)));
    ended += page.length;
  }
}

/** A snapshot may exist although its creation was interrupted. */
async function deleteSnapshots(): Promise<void> {
  for (;;) {
    const page = await untilAnswered(
      async () => await Sandbox.listSnapshots({ limit: 100 }).nextItems(),
      () => undefined,
    );
    if (page.length === 0) return;
    await Promise.all(page.map(async ({ snapshotId }) => await Sandbox.deleteSnapshot(snapshotId)));
  }
}

async function readToken(sandboxId: string): Promise<string> {
  const response = await fetch(`${process.env['E2B_API_URL'] ?? ''}/sandboxes/${sandboxId}`, {
    headers: { 'X-API-Key': process.env['E2B_API_KEY'] ?? '' },
  });
  return ((await response.json()) as { envdAccessToken?: string }).envdAccessToken ?? '';
}

/** A wrong token must not work after all those restarts either. */
async function checkForeignToken(told: Told, complain: (text: string) => void): Promise<void> {
  const url = `${process.env['E2B_SANDBOX_URL'] ?? ''}/files?path=/etc/hostname&username=user`;
  const response = await fetch(url, {
    headers: {
      'E2b-Sandbox-Id': told.sandbox.sandboxId,
      'E2b-Sandbox-Port': '49983',
      'X-Access-Token': `${told.token.slice(0, -1)}${told.token.endsWith('0') ? '1' : '0'}`,
    },
  });
  await response.body?.cancel();
  if (response.status !== 401) complain(`a wrong token was answered with ${response.status}`);
}
