import { mkdir, writeFile } from 'node:fs/promises';
import type { LifeLog } from '../life-log.ts';

const directory = '/run/e2b';

/**
 * Publishes the `E2B_*` variables as files, for programs that were started before them (E2B:
 * `/run/e2b/.E2B_SANDBOX_ID`).
 */
export async function writeRunFiles(envVars: Readonly<Record<string, string>>, log: LifeLog): Promise<void> {
  const published = Object.entries(envVars).filter(([name]) => /^E2B_[A-Z0-9_]+$/.test(name));
  if (published.length === 0) return;
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
    // Together: a client waits for them, and each file takes three trips to the thread pool.
    await Promise.all(
      published.map(async ([name, text]) => await writeFile(`${directory}/.${name}`, text, { mode: 0o644 })),
    );
  } catch (error) {
    log.record('warn', 'init', 'The files in /run/e2b could not be written', { cause: String(error) });
  }
}
