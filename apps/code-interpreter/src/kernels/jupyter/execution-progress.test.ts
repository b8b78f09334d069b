import { expect, test } from 'vitest';
import { createExecutionProgress } from './execution-progress.ts';
import type { JupyterMessage } from './message.ts';

function message(type: string, content: JupyterMessage['content']): JupyterMessage {
  return { type, parentId: '1', content, contentText: JSON.stringify(content) };
}
const reply = message('execute_reply', { status: 'ok' });
const idle = message('status', { execution_state: 'idle' });

test('an execution ends when the kernel has replied and is idle, in either order', () => {
  const one = createExecutionProgress();
  one.take('shell', reply);
  expect(one.waitMs).toBe(2000);
  one.take('iopub', idle);
  expect(one.waitMs).toBe(0);

  const other = createExecutionProgress();
  other.take('iopub', idle);
  expect(other.waitMs).toBeUndefined();
  other.take('shell', reply);
  expect(other.waitMs).toBe(0);
});

test('a reply counts only on the shell channel', () => {
  const progress = createExecutionProgress();
  progress.take('iopub', reply);
  expect(progress.waitMs).toBeUndefined();
});

test('an error is shown once, although the kernel reports it on both channels', () => {
  const progress = createExecutionProgress();
  const content = { status: 'error', ename: 'ValueError', evalue: 'no', traceback: [] };
  expect(progress.take('iopub', message('error', content))).toMatchObject({ type: 'error', name: 'ValueError' });
  expect(progress.take('shell', message('execute_reply', content))).toBeUndefined();
  expect(progress.take('iopub', message('stream', { name: 'stdout', text: 'after' }))).toEqual({
    type: 'stdout',
    text: 'after',
  });
});
