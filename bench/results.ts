import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostFacts } from './host.ts';
import type { Lab } from './lab.ts';
import { isFigure } from './measurement.ts';
import type { Measurement, Result } from './measurement.ts';
import { judge, summarize } from './statistics.ts';
import type { Summary } from './statistics.ts';

/** An earlier run: its figures by what they are of. */
export interface EarlierResults {
  readonly host: HostFacts;
  readonly isolation: string;
  readonly figures: ReadonlyMap<string, Summary>;
}

/** What a measurement gives; one that fails gives that last, and the next one goes on. */
export async function* resultsOf(measurement: Measurement, lab: Lab): AsyncGenerator<Result> {
  try {
    yield* measurement.run(lab);
  } catch (error) {
    yield { what: measurement.name, failed: error instanceof Error ? error.message : String(error) };
  }
}

/** A file of `bench/results` with the time of now as its name. */
export async function openResultsFile(
  host: HostFacts,
  isolation: string,
): Promise<{ readonly path: string; write(results: readonly Result[]): Promise<void> }> {
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${new Date().toISOString().replaceAll(':', '-')}.json`);
  return {
    path,
    write: async (results) => {
      const stored = results.map((result) =>
        isFigure(result) ? { ...result, ...summarize(result), verdict: judge(result) } : result,
      );
      await writeFile(path, `${JSON.stringify({ host, isolation, results: stored }, null, 2)}\n`);
    },
  };
}

/** Throws, with what is wrong, for a file that is none of these. */
export async function readResults(path: string): Promise<EarlierResults> {
  try {
    const { host, isolation, results } = JSON.parse(await readFile(path, 'utf8')) as Stored;
    return {
      host,
      isolation,
      figures: new Map(results.filter(isFigure).map((figure) => [figure.what, summarize(figure)])),
    };
  } catch (cause) {
    throw new Error(`${path} cannot be read as a result file of the bench: ${String(cause)}`, { cause });
  }
}

interface Stored {
  readonly host: HostFacts;
  readonly isolation: string;
  readonly results: readonly Result[];
}
