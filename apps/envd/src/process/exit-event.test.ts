import { expect, test } from 'vitest';
import { exitEvent } from './exit-event.ts';

test('success has no error text', () => {
  expect(exitEvent({ kind: 'exited', code: 0 })).toEqual({ exitCode: 0, exited: true, status: 'exit status 0' });
});

test('a failure repeats its status as the error', () => {
  expect(exitEvent({ kind: 'exited', code: 3 })).toEqual({
    exitCode: 3,
    exited: true,
    status: 'exit status 3',
    error: 'exit status 3',
  });
});

test.each([
  [9, false, 'signal: killed'],
  [15, false, 'signal: terminated'],
  [11, true, 'signal: segmentation fault (core dumped)'],
  [34, false, 'signal: signal 34'],
])('signal %d is formatted as in Go', (signal, coreDumped, text) => {
  expect(exitEvent({ kind: 'signaled', signal, coreDumped })).toEqual({
    exitCode: -1,
    exited: false,
    status: text,
    error: text,
  });
});
