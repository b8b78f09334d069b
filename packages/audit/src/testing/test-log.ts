import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLogFiles } from '../log-files.ts';
import { openLog } from '../log.ts';
import type { Log } from '../log.ts';
import { leafOf } from '../record.ts';
import type { AuditDraft, AuditPosition } from '../record.ts';

/** An Ed25519 key in PEM. */
export function makeKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A complete draft; `over` replaces fields. */
export function draftOf(over: Partial<AuditDraft> = {}): AuditDraft {
  return {
    id: '0193a5b0-0000-7000-8000-000000000001',
    time: 1_790_000_000_000,
    stage: 'event',
    class: 'operation',
    action: 'sandbox.create',
    actor: { kind: 'key', id: '6f1c3f1e-3a55-4d1c-9d59-0d7f2f0b1a11' },
    scope: 'team',
    target: { kind: 'sandbox', id: 'i0000000000000000001', team: 'b2f1c0de-0000-4000-8000-000000000001' },
    request: { id: 'request00000001', method: 'POST', route: '/sandboxes' },
    source: { network: '203.0.113.0/24', agent: 'e2b-js-sdk' },
    result: { status: 'success', code: 201 },
    rule: 'key',
    jurisdiction: 'eu',
    retainUntil: 1_821_536_000_000,
    ...over,
  };
}

export const writer = 'writer1';

export function positionOf(seq: number, of = writer): AuditPosition {
  return { seq, writer: of, writerSeq: seq };
}

/** Leaves from one index to another, excluded. */
export function leavesOf(from: number, to: number, over: Partial<AuditDraft> = {}): Buffer[] {
  return Array.from({ length: to - from }, (_, at) => {
    const seq = from + at;
    const draft = draftOf({ request: { id: `request${seq}`, method: 'POST', route: '/sandboxes' }, ...over });
    return Buffer.from(leafOf(draft, positionOf(seq)));
  });
}

export interface TestLog extends AsyncDisposable {
  readonly folder: string;
  readonly privateKey: string;
  readonly log: Log;
  /** Opens the folder again, as after a restart. */
  reopen(privateKey?: string): Promise<Log>;
}

export const testOrigin = 'soulbox.example/audit/team';

/** A log of `size` records in a new folder, with the file that an export has beside it. */
export async function makeLog(size: number): Promise<TestLog> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-log-'));
  const privateKey = makeKey();
  const reopen = (key = privateKey): Promise<Log> =>
    openLog({ files: openLogFiles(folder), privateKey: key, newOrigin: testOrigin });
  const log = await reopen();
  await log.append(leavesOf(0, size));
  await writeFile(join(folder, 'log.json'), JSON.stringify({ verifierKey: log.verifierKey, from: 0 }));
  return { folder, privateKey, log, reopen, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
