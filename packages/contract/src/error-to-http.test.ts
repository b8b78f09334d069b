import { expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { errorForCaller } from './error-to-http.ts';

it('an error that nobody expected says nothing of the host to a caller, and keeps its cause for the log', () => {
  const fault = new SoulBoxError('internal', 'The disk /var/lib/soulbox/sandboxes/i1/disk.img is still mounted.');
  const shown = errorForCaller(fault);
  expect(shown.message).toBe('An internal error occurred. The server log has the details.');
  expect([shown.reason, shown.cause]).toEqual(['internal', fault]);
});

it('one with a reason of its own says what it says', () => {
  const error = new SoulBoxError('limit_exceeded', 'Enough.');
  expect(errorForCaller(error)).toBe(error);
});
