import { expect, it } from 'vitest';
import { createHolds } from './holds.ts';

const hold = (teamId: string, keyId: string) => ({ teamId, keyId, message: `spent by ${teamId} ${keyId}` });

it('a held team, or a held key, may not begin to run; others may', () => {
  const holds = createHolds();
  holds.check({ teamId: 't', keyId: 'k' });
  holds.set([hold('t', ''), hold('u', 'k')]);
  for (const keyId of ['', 'k', 'x']) expect(() => holds.check({ teamId: 't', keyId })).toThrow('spent by t');
  expect(() => holds.check({ teamId: 'u', keyId: 'k' })).toThrow(expect.objectContaining({ reason: 'budget_spent' }));
  for (const keyId of ['', 'x']) holds.check({ teamId: 'u', keyId });
  holds.check({ teamId: 'other', keyId: 'k' });
  holds.set([]);
  holds.check({ teamId: 't', keyId: 'k' });
});
