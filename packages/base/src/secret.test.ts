import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { constantTimeEqual, Secret } from './secret.ts';

describe('a secret', () => {
  it('does not show in text, JSON, inspection or an error message', () => {
    const secret = new Secret('hunter2');
    const shown = [String(secret), JSON.stringify({ secret }), inspect({ secret }, { depth: 9, showHidden: true })];
    for (const text of shown) {
      expect(text).not.toContain('hunter2');
      expect(text).toContain('[redacted]');
    }
    expect(secret.reveal()).toBe('hunter2');
  });

  it('equals only its own value, also if the lengths differ', () => {
    const secret = new Secret('hunter2');
    expect(secret.equals('hunter2')).toBe(true);
    for (const other of ['', 'hunter', 'hunter22', 'Hunter2']) expect(secret.equals(other)).toBe(false);
    expect(constantTimeEqual('', '')).toBe(true);
  });
});
