import { describe, expect, it } from 'vitest';
import { checkStep, survivesRestart } from './lifecycle.ts';
import type { SandboxState } from './lifecycle.ts';

const states: SandboxState[] = ['booting', 'warm', 'claiming', 'running', 'ending'];

describe('sandbox lifecycle', () => {
  it('names from and to in the error of an illegal step', () => {
    expect(() => {
      checkStep('iabc', 'ending', 'running');
    }).toThrow('Sandbox iabc cannot go from ending to running.');
  });

  it('lets every state but the last end, and none begin again', () => {
    for (const from of states.slice(0, 4)) {
      expect(() => {
        checkStep('i', from, 'ending');
      }).not.toThrow();
      expect(() => {
        checkStep('i', from, 'booting');
      }).toThrow();
    }
  });

  it('never lets a warm sandbox run without a claim', () => {
    expect(() => {
      checkStep('i', 'warm', 'running');
    }).toThrow();
  });

  it('goes on after a restart only from states in which nothing was under way', () => {
    expect(states.filter(survivesRestart)).toEqual(['warm', 'running']);
  });
});
