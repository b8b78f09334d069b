import { relative } from 'node:path';
import type { UserConsoleLog } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/**
 * Reports at the end of a run how many tests of each file were skipped, and why: vitest's own reports show no reasons.
 */
// oxlint-disable-next-line soulbox/no-plain-class -- Vitest calls its constructor
export default class SkipReporter implements Reporter {
  readonly #words = new Map<string, Set<string>>();

  /** The line that a file prints when it skips tests because something is missing. */
  onUserConsoleLog({ content, taskId }: UserConsoleLog): void {
    for (const line of content.split('\n')) if (line.includes('skipped')) this.#note(taskId ?? '', line.trim());
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules.flatMap((module) => {
      const skipped = [...module.children.allTests('skipped')];
      if (skipped.length === 0) return [];
      const reasons = new Set([...(this.#words.get(module.id) ?? []), ...skipped.flatMap(noteOf)]);
      const why = reasons.size === 0 ? '' : `: ${[...reasons].join('; ')}`;
      return [`  ${String(skipped.length).padStart(4)} in ${relative(process.cwd(), module.moduleId)}${why}`];
    });
    if (lines.length > 0) console.log(`\nTests that were left out:\n${lines.join('\n')}`);
  }

  #note(moduleId: string, line: string): void {
    const known = this.#words.get(moduleId) ?? new Set();
    this.#words.set(moduleId, known.add(line));
  }
}

function noteOf(test: TestCase): string[] {
  if (test.tags.includes('long')) return ['long (npm run test:long)'];
  const result = test.result();
  return result.state === 'skipped' && result.note !== undefined ? [result.note] : [];
}
