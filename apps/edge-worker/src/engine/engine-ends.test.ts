import { expect, test } from 'vitest';
import type { Engine } from './engine.ts';
import { createEngineEnds, endedByItself } from './engine-ends.ts';
import { createOpenRequests } from './open-requests.ts';

const never = new Promise<void>(() => undefined);
const engineThatEnds = (exited: Promise<void>): Engine => ({
  ...{ pid: 0, requests: '', ping: () => never, exited, gone: false, kill: () => undefined },
  ...createOpenRequests(() => undefined),
});

test('each engine has its own reason, which is the first', async () => {
  const ends = createEngineEnds();
  const [stopped, other] = [engineThatEnds(never), engineThatEnds(Promise.resolve())];
  ends.record(stopped, 'It used too much memory.');
  ends.record(stopped, 'It was deployed again.');
  expect(await ends.explain(stopped)).toBe('It used too much memory.');
  expect(await ends.explain(other)).toBe(endedByItself);
  expect(ends.recorded(other)).toBeUndefined();
});

test('an engine that broke off a connection and runs on is not said to have ended', async () => {
  expect(await createEngineEnds().explain(engineThatEnds(never))).toBe(
    'The function closed the connection unexpectedly.',
  );
});
