import { describe, expect, it } from 'vitest';
import { checkPause, checkStep, isTenantState, sandboxStates } from './lifecycle.ts';
import type { SandboxState } from './lifecycle.ts';

/** Row: from. Column: to. The order is that of `sandboxStates`. */
const table = {
  booting: '.WB.......E',
  warm: '...C......E',
  building: '..........E',
  claiming: '....R.....E',
  running: '.....P..S.E',
  pausing: '....R.D...E',
  paused: '.......US.E',
  resuming: '....R.D...E',
  snapshotting: '....R.D...E',
  restoring: '...CR.....E',
  ending: '...........',
} satisfies Record<SandboxState, string>;

const steps = sandboxStates.flatMap((from) =>
  sandboxStates.map((to, column) => ({ from, to, legal: table[from][column] !== '.' })),
);

describe('sandbox lifecycle', () => {
  it.each(steps.filter(({ legal }) => legal))('lets a sandbox go from $from to $to', ({ from, to }) => {
    expect(() => checkStep('i', from, to)).not.toThrow();
  });

  it.each(steps.filter(({ legal }) => !legal))(
    'refuses a step from $from to $to with an error that names both',
    ({ from, to }) => {
      expect(() => checkStep('iabc', from, to)).toThrow(
        expect.objectContaining({
          reason: 'illegal_transition',
          message: `Sandbox "iabc" cannot change from ${from} to ${to}.`,
        }),
      );
    },
  );

  it('has a special reason only for the pause of a paused sandbox', () => {
    const reasons = sandboxStates.map((from) => {
      try {
        checkPause('i', from);
        return [from, 'fine'];
      } catch (error) {
        return [from, (error as { reason: string }).reason];
      }
    });
    expect(Object.fromEntries(reasons)).toMatchObject({ running: 'fine', paused: 'already_paused' });
    expect(reasons.filter(([, reason]) => reason === 'illegal_transition')).toHaveLength(sandboxStates.length - 2);
  });

  it('shows a sandbox to its tenant only between the claim and the end', () => {
    expect(sandboxStates.filter(isTenantState)).toEqual(['running', 'pausing', 'paused', 'resuming', 'snapshotting']);
  });
});
