import { SoulBoxError } from '@soulbox/base';
import { expect, onTestFinished, test, vi } from 'vitest';
import { printFault } from './print-fault.ts';

test('words of a sandbox cannot steer the terminal', () => {
  const print = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  onTestFinished(() => print.mockRestore());
  const hostile = '\x1b]0;evil\x07\x9b2J';
  printFault(new SoulBoxError('bad_request', `first\nsecond ${hostile}`), { json: false });
  printFault(Object.assign(new Error(hostile), { reason: hostile }), { json: false });
  const lines = print.mock.calls.map(([line]) => String(line));
  expect(lines[0]).toBe('error: first\nsecond ·]0;evil··2J (bad_request)');
  expect(lines[1]).toBe('error: ·]0;evil··2J (·]0;evil··2J)');
});
