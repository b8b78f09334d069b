import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { silentLogger } from '@soulbox/base/logger';
import type { RootLogger } from '@soulbox/base';
import { expect, test } from 'vitest';
import { passLines } from './pass-lines.ts';

/** Returns the result for these chunks: log lines unchanged, printed text in brackets. */
async function pass(chunks: readonly string[], names?: readonly string[]): Promise<string[]> {
  const seen: string[] = [];
  const logger: RootLogger = {
    ...silentLogger,
    child: () => silentLogger,
    warn: (fields) => void seen.push(`[${(fields as { text: string }).text}]`),
    writeLine: (line) => void seen.push(line.trimEnd()),
    droppedLines: () => 0,
    reopen: () => undefined,
  };
  const stream = new PassThrough();
  passLines(stream, { part: 'gateway', names, logger });
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await finished(stream);
  return seen;
}

const line = '{"level":30,"time":"t","part":"gateway","msg":"a"}';

test('lines of a logger are passed unchanged, wherever they are cut', async () => {
  expect(await pass([`${line}\n${line.slice(0, 9)}`, line.slice(9, 20), `${line.slice(20)}\n`])).toEqual([line, line]);
});

test('other text is passed as printed text, including a last line without a line break', async () => {
  expect(await pass(['Error: x\n\n  at y', '\nlast'])).toEqual(['[Error: x]', '[  at y]', '[last]']);
});

test.each([
  '{"level":30,"time":"t","part":"api"}',
  '{"level":30,"time":"t","part":"gateway","part":"api"}',
  '{"level":30,"time":"t","part":"gateway","p\\u0061rt":"api"}',
  '{"level":30,"time":"t","part":"gateway"} and more',
  '{"level":30,"time":"t"}',
])('a part with known names cannot write lines of another: %s', async (forged) => {
  expect(await pass([`${line}\n${forged}\n`], ['gateway'])).toEqual([line, `[${forged}]`]);
  expect(await pass([`${forged}\n`])).toEqual([forged]);
});

test('a line without an end takes bounded memory, and the lines after it are read', async () => {
  const chunks = Array.from({ length: 64 }, () => 'x'.repeat(64 * 1024));
  const [printed, next] = await pass([...chunks, `\n${line}\n`]);
  expect(printed).toHaveLength(256 * 1024 + 2);
  expect(next).toBe(line);
});
