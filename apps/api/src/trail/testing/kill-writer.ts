import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAuditSigningKey, openLog, openLogFiles, recordOfLeaf } from '@soulbox/audit';
import { verifyLog } from '@soulbox/audit/verify-log';
import { removeTree } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import { placesOf, team } from './places.ts';

export interface KillReport {
  readonly rounds: number;
  /** Records that the writer had reported as durable, each looked for after each kill. */
  readonly durable: number;
  /** Kills before the writer had reported anything. */
  readonly early: number;
  readonly violations: readonly string[];
}

export interface KillOptions {
  readonly rounds: number;
  readonly random: () => number;
  readonly onRound?: (round: number) => void;
}

const program = join(import.meta.dirname, 'writer.ts');
/** A new log after so many rounds: each is read as a whole after each kill. */
const roundsPerFolder = 50;

/**
 * Starts a writer (writer.ts) and kills it with SIGKILL at a random moment, again and again on the same files. After each
 * kill: the published log is verified by its own program against the checkpoints that were seen before; the log and the
 * records that wait for it form one sequence without gaps and repetitions; it has every record that was reported as
 * durable.
 */
export async function killWriter({ rounds, random, onRound = () => undefined }: KillOptions): Promise<KillReport> {
  const violations: string[] = [];
  let [durable, early] = [0, 0];
  for (let done = 0; done < rounds; done += roundsPerFolder) {
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-audit-kills-'));
    try {
      const seen: Seen = { ids: new Set(), checkpoints: [] };
      for (let round = done; round < Math.min(rounds, done + roundsPerFolder); round += 1) {
        const before = seen.ids.size;
        await writeAndKill(folder, random, seen.ids);
        if (seen.ids.size === before) early += 1;
        violations.push(...(await check(folder, seen)).map((what) => `round ${round}: ${what}`));
        onRound(round);
      }
      durable += seen.ids.size;
    } finally {
      await removeTree(folder);
    }
  }
  return { rounds, durable, early, violations };
}

interface Seen {
  readonly ids: Set<string>;
  /** The newest ones. */
  checkpoints: string[];
}

async function writeAndKill(folder: string, random: () => number, ids: Set<string>): Promise<void> {
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const exited = once(child, 'close');
  // One of four is killed while it starts, the others while they write.
  if (random() < 0.25) await sleep(100 + random() * 300);
  else {
    await Promise.race([once(child.stdout, 'data'), exited]);
    await sleep(random() * 120);
  }
  child.kill('SIGKILL');
  await exited;
  for (const id of text.split('\n').slice(0, -1)) ids.add(id);
}

async function check(folder: string, seen: Seen): Promise<string[]> {
  const places = placesOf(folder);
  const directory = join(places.logs, team);
  if (!existsSync(join(directory, 'checkpoint'))) return seen.ids.size === 0 ? [] : ['there is no log'];
  await mkdir(directory, { recursive: true });
  const privateKey = (await openAuditSigningKey(places.secrets)).reveal();
  const log = await openLog({ files: openLogFiles(directory), privateKey, newOrigin: 'none' });
  await writeFile(join(directory, 'log.json'), '{"from":0}');
  const report = verifyLog({ directory, key: log.verifierKey, earlier: seen.checkpoints });
  seen.checkpoints = [...seen.checkpoints, await readFile(join(directory, 'checkpoint'), 'utf8')].slice(-3);
  await using records = openSqliteRecords(places.records);
  const waiting = await records.audit.listWaiting(team, log.checkpoint.size, 1_000_000);
  const published = await log.readEntries(0, log.checkpoint.size);
  const all = [...published.map((entry) => entry.toString('utf8')), ...waiting.map(({ text }) => text)].map(
    recordOfLeaf,
  );
  const writers = new Set(all.map(({ writer }) => writer));
  const found = new Set(all.map(({ target }) => target.id.slice(1)));
  const faults = report.faults.map(({ code, text }) => `${code}: ${text}`);
  if (all.some(({ seq }, index) => seq !== index)) faults.push('the records are not numbered without gaps');
  if (writers.size > 1) faults.push('the writer has changed although no database was set back');
  if (all.some(({ writerSeq }, index) => writerSeq !== index)) faults.push('the numbers of the writer have gaps');
  if (found.size !== all.length) faults.push('a record is there twice');
  const lost = [...seen.ids].filter((id) => !found.has(id));
  if (lost.length > 0) faults.push(`${lost.length} durable records are lost, such as ${lost[0] ?? ''}`);
  return faults;
}
