import { constants } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import type { LifeLog } from '../life-log.ts';
import { openRegular } from '../sys/open-regular.ts';

const directory = '/run/e2b';

/**
 * The variables that are published. The files can be read by all users and are on the disk, so no other variable may be
 * among them, whatever its name: a tenant's `E2B_API_KEY` is a secret.
 */
const publicNames = ['E2B_SANDBOX', 'E2B_SANDBOX_ID', 'E2B_TEMPLATE_ID', 'E2B_TEAM_ID'] as const;

/** The file that publishes a variable. */
export const runFileOf = (name: (typeof publicNames)[number]): string => `${directory}/.${name}`;

/**
 * Publishes what identifies the sandbox as files, for programs that were started before them (E2B:
 * `/run/e2b/.E2B_SANDBOX_ID`).
 */
export async function writeRunFiles(envVars: Readonly<Record<string, string>>, log: LifeLog): Promise<void> {
  const published = publicNames.flatMap((name) => {
    const text = envVars[name];
    return text === undefined ? [] : [[name, text] as const];
  });
  if (published.length === 0) return;
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
    // Together: a client waits for them, and each file takes several trips to the thread pool.
    await Promise.all(published.map(async ([name, text]) => await publish(runFileOf(name), text)));
  } catch (error) {
    log.record('warn', 'init', 'The files in /run/e2b could not be written', { cause: String(error) });
  }
}

/**
 * Writes the file unless it has this text already. In a copy most files do, in a lower layer of the disk; a write would
 * copy them up, which takes 1 ms each.
 */
async function publish(path: string, text: string): Promise<void> {
  if (!(await hasText(path, text))) await writeFile(path, text, { mode: 0o644 });
}

async function hasText(path: string, text: string): Promise<boolean> {
  const wanted = Buffer.from(text);
  try {
    const { file, stats } = await openRegular(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    await using opened = file;
    if (stats.size !== wanted.length) return false;
    const present = Buffer.alloc(wanted.length);
    const { bytesRead } = await opened.read(present, 0, present.length, 0);
    return bytesRead === wanted.length && present.equals(wanted);
  } catch {
    return false;
  }
}
