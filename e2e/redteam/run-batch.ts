import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sandbox } from 'e2b';
import type { InsideAttempt } from './attempt.ts';
import { batchParameters } from './world.ts';
import type { World } from './world.ts';

/** What `batch.py` reports. `did`: it succeeded. `broken`: the program of the attempt is faulty. */
export interface Outcome {
  readonly name: string;
  readonly outcome: 'did' | 'refused' | 'error' | 'broken';
  readonly detail: string;
  readonly ms: number;
}

/** Names of `egress.py` are known to the programs, too. */
export const program = ['egress.py', 'batch.py']
  .map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'))
  .join('\n');
export const batchTimeoutMs = 300_000;

export interface BatchOptions {
  readonly user: 'user' | 'root';
  /** More parameters of the programs, beside those of `batchParameters`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Absent: what must not succeed. */
  readonly isControl?: boolean;
}

/** By how much longer a control waits for an answer, see `egress.py`. */
const controlPatience = 10;

/** Runs programs one after the other in the sandbox. */
export async function runBatch(
  world: World,
  sandbox: Sandbox,
  attempts: readonly InsideAttempt[],
  { user, parameters = {}, isControl = false }: BatchOptions,
): Promise<Map<string, Outcome>> {
  if (attempts.length === 0) return new Map();
  const folder = `/tmp/redteam-${user}`;
  await sandbox.files.write(
    [
      { path: `${folder}/batch.py`, data: program },
      {
        path: `${folder}/order.json`,
        data: orderText(world, attempts, { scratch: `${folder}/scratch`, apart: false, parameters, isControl }),
      },
      { path: `${folder}/scratch/.keep`, data: '' },
    ],
    { user },
  );
  const command = `python3 ${folder}/batch.py ${folder}/order.json`;
  const { stdout } = await sandbox.commands.run(command, { user, timeoutMs: batchTimeoutMs });
  return parseOutcomes(stdout);
}

export function orderText(
  world: World,
  attempts: readonly InsideAttempt[],
  order: { scratch: string; apart: boolean; isControl: boolean; parameters?: object },
): string {
  const { scratch, apart, isControl, parameters = {} } = order;
  const programs = attempts.map(({ name, python }) => ({ name, python }));
  return JSON.stringify({
    parameters: { ...batchParameters(world, scratch), ...parameters },
    attempts: programs,
    apart,
    patience: isControl ? controlPatience : 1,
  });
}

export function parseOutcomes(text: string): Map<string, Outcome> {
  const lines = text.split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => JSON.parse(line) as Outcome).map((outcome) => [outcome.name, outcome]));
}
