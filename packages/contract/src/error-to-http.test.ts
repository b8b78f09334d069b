import { expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { errorForCaller } from './error-to-http.ts';

it('an unexpected error tells a caller nothing about the host, and keeps its cause for the log', () => {
  const fault = new SoulBoxError('internal', 'The disk /var/lib/soulbox/sandboxes/i1/disk.img is still mounted.');
  const shown = errorForCaller(fault);
  expect(shown.message).toBe('An internal error occurred. The server log has the details.');
  expect([shown.reason, shown.cause]).toEqual(['internal', fault]);
});

it('an error with a reason of its own keeps its message', () => {
  const error = new SoulBoxError('limit_exceeded', 'Enough.');
  expect(errorForCaller(error)).toBe(error);
});
