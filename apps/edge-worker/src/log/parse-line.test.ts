import { expect, test } from 'vitest';
import { parseLine } from './parse-line.ts';

// As written by workerd 1.20261117.1.
test.each([
  ['{"timestamp":1,"level":"log","message":"hello { a: 1 } 1"}', 'info', 'console', 'hello { a: 1 } 1'],
  ['{"timestamp":1,"level":"warn","message":"w"}', 'warn', 'console', 'w'],
  [
    '{"timestamp":"1","level":"error","source":"workerd/server/server/listen/mod.rs:372","message":"Uncaught exception: workerd/jsg/value.h:1456: failed: remote.jsg.Error: boom","context_depth":0}',
    'error',
    'system',
    'Uncaught Error: boom',
  ],
  [
    '{"timestamp":"1","level":"error","source":"src/workerd/server/server/entry.rs:170","message":"service main: Uncaught SyntaxError: Unexpected end of input\\n  at worker.js:1:27","context_depth":0}',
    'error',
    'system',
    'Uncaught SyntaxError: Unexpected end of input\n  at worker.js:1:27',
  ],
  ['not JSON', 'info', 'console', 'not JSON'],
  ['{"half":', 'info', 'console', '{"half":'],
  ['{"message":5}', 'info', 'console', '{"message":5}'],
])('%s', (line, level, source, message) => {
  expect(parseLine(line)).toEqual({ level, source, message });
});
