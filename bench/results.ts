import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostFacts } from './host.ts';
import type { Lab } from './lab.ts';
import { isFigure } from './measurement.ts';
import type { Measurement, Result } from './measurement.ts';
import { judge, summarize } from './statistics.ts';
import type { Summary } from './statistics.ts';

/** An earlier run: its figures by their name. */
export interface EarlierResults {
  readonly host: HostFacts;
  readonly isolation: string;
  readonly figures: ReadonlyMap<string, Summary>;
}

/** The results of a measurement; if it fails, the failure is the last result, and the next measurement continues. */
export async function* resultsOf(measurement: Measurement, lab: Lab): AsyncGenerator<Result> {
  try {
    yield* measurement.run(lab);
  } catch (error) {
    yield { what: measurement.name, failed: error instanceof Error ? error.message : String(error) };
  }
}

/** A file of `bench/results` with the current time as its name. */
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

/** Throws an error that describes the fault if the file has another form. */
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
