import { expect, test } from 'vitest';
import { CallError } from './call-error.ts';
import { followLines, linesOf } from './follow-lines.ts';

const type = { 'content-type': 'application/x-ndjson; charset=utf-8' };
const answer = (...parts: readonly (string | Error)[]): Response => {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const [part] = [parts[sent]];
      sent += 1;
      if (part === undefined) controller.close();
      else if (part instanceof Error) controller.error(part);
      else controller.enqueue(encoder.encode(part));
    },
  });
  let sent = 0;
  return new Response(body, { headers: type });
};
const cut = (): Error => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
const fast = { initialDelayMs: 1, maxDelayMs: 1, attempts: 5, budgetMs: 60_000 };

interface Line {
  readonly n: number;
}

/** Each request gets the next answer. `asked`: the last line that its client had. */
async function follow(answers: (() => Response)[], options = {}) {
  const read: number[] = [];
  const asked: (number | undefined)[] = [];
  const open = async (): Promise<Response> => {
    asked.push(read.at(-1));
    const next = answers.shift();
    if (next === undefined) throw cut();
    return await Promise.resolve(next());
  };
  const failure = await (async () => {
    for await (const { n } of followLines<Line>(open, { retry: fast, ...options })) read.push(n);
  })().catch((error: unknown) => error);
  return { read, asked, failure };
}

test('a stream goes on after the last line that was read, however it was cut, and ends with its last line', async () => {
  const { read, asked, failure } = await follow([
    () => answer('\n{"n":1}\n{"n', '":2}\n', '\n{"n":3', cut()),
    () => answer('{"n":3}\n'),
    () => answer(cut()),
    () => answer('{"n":4}\n{"ended":true}\n{"n":5}\n'),
  ]);
  expect([read, failure]).toEqual([[1, 2, 3, 4], undefined]);
  expect(asked).toEqual([undefined, 2, 3, 3]);
});

test('what is gone when the stream is opened again has ended, and what never was is an error', async () => {
  const gone = (): never => {
    throw new CallError('gone', { code: 'not_found', reason: 'sandbox_not_found', retryable: false, status: 404 });
  };
  expect(await follow([() => answer('{"n":1}\n'), gone])).toMatchObject({ read: [1], failure: undefined });
  expect(await follow([gone])).toMatchObject({ read: [], failure: { reason: 'sandbox_not_found' } });
});

test('attempts are limited while nothing new arrives', async () => {
  const { read, asked, failure } = await follow([() => answer('{"n":1}\n')]);
  expect([read, asked.length]).toEqual([[1], 5]);
  expect(failure).toMatchObject({ name: 'CallError', code: 'unavailable' });
});

test('a silent stream counts as cut, and blank lines are no silence', async () => {
  const silent = (): Response =>
    new Response(new ReadableStream({ pull: async () => await new Promise(() => {}) }), { headers: type });
  const slow = (): Response => {
    let left = 20;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      controller.enqueue(new TextEncoder().encode(left-- > 0 ? '\n' : '{"ended":true}\n'));
    };
    return new Response(new ReadableStream({ pull }), { headers: type });
  };
  const { asked, failure } = await follow([silent, slow], { silenceMs: 100 });
  expect([asked.length, failure]).toEqual([2, undefined]);
});

test.each([
  ['a list', new Response('[]', { headers: { 'content-type': 'application/json' } }), /older/],
  ['no JSON', answer('{"n":1\n'), /not an object/],
  ['a number', answer('7\n'), /not an object/],
  ['a line without an end', answer('x'.repeat(9_000_000), 'x'.repeat(9_000_000)), /too long/],
])('%s is an error at once', async (_, response, message) => {
  const { read, asked, failure } = await follow([() => response]);
  expect([read, asked.length]).toEqual([[], 1]);
  expect(failure).toMatchObject({ reason: 'invalid_response', message: expect.stringMatching(message) as string });
});

test('whoever stops reading gives up the connection', async () => {
  let isGivenUp = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('{"n":1}\n')),
    cancel: () => void (isGivenUp = true),
  });
  for await (const line of linesOf(new Response(body, { headers: type }))) {
    expect(line).toBe('{"n":1}');
    break;
  }
  expect(isGivenUp).toBe(true);
});
