import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

const receivedLinesMax = 4;
const lineCharsMax = 600;

/**
 * Writes the failed tests and files of a run to the file `--outputFile.failures`, for a summary: one line each, followed
 * by the beginning of what the assertion received. An empty file if there are none. Vitest's report as JSON has
 * only messages, and "expected [ Array(1) ] to deeply equal []" does not say what is in the array.
 */
// oxlint-disable-next-line soulbox/no-plain-class -- Vitest calls its constructor
export default class FailureReporter implements Reporter {
  #file: string | undefined;

  onInit({ config }: Vitest): void {
    const { outputFile } = config;
    this.#file = typeof outputFile === 'object' ? outputFile['failures'] : undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    if (this.#file === undefined) return;
    const others = unhandled.flatMap((error) => describe('outside of the tests', error));
    const lines = [...modules.flatMap(failuresOf), ...others];
    writeFileSync(this.#file, lines.map((line) => `${line}\n`).join(''));
  }
}

function failuresOf(module: TestModule): string[] {
  const path = relative(process.cwd(), module.moduleId);
  const tests = [...module.children.allTests('failed')].flatMap((test) => {
    const [error] = test.result().errors ?? [];
    // A message such as "expected 0 to be 1" fits several lines of a test.
    const line = error?.stack?.split(`${module.moduleId}:`)[1]?.match(/^\d+/)?.[0] ?? '?';
    return describe(`${path}:${line} > ${test.fullName}`, error);
  });
  // Vitest says that a worker has ended, but not which file it had.
  const unfinished = ['pending', 'queued'].includes(module.state()) ? [`${path}: it was not run to its end`] : [];
  const suites = [...module.children.allSuites()].flatMap((suite) => suite.errors());
  return [...tests, ...unfinished, ...[...module.errors(), ...suites].flatMap((error) => describe(path, error))];
}

function describe(where: string, error: SerializedError | undefined): string[] {
  const [first = 'no message'] = (error?.message ?? '').split('\n', 1);
  const named = error?.name === undefined ? first : `${error.name}: ${first}`;
  const cause = error?.cause;
  const because = typeof cause?.message === 'string' ? ` (${cause.message.split('\n', 1)[0] ?? ''})` : '';
  return [shorten(`${where}: ${named}${because}`), ...receivedOf(error?.diff).map((line) => shorten(`    ${line}`))];
}

/** The first received lines of a diff that have any content. Its head has the same form. */
function receivedOf(diff: unknown): string[] {
  const lines = stripVTControlCharacters(typeof diff === 'string' ? diff : '').split('\n');
  const received = lines.filter((line) => /^\+.*\w/.test(line) && !/^\+ Received\b/.test(line));
  const left = received.length - receivedLinesMax;
  return [...received.slice(0, receivedLinesMax), ...(left > 0 ? [`+ ... ${String(left)} more lines`] : [])];
}

const shorten = (line: string): string => (line.length > lineCharsMax ? `${line.slice(0, lineCharsMax)}...` : line);
