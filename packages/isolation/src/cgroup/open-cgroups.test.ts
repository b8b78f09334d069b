import { expect, test } from 'vitest';
import { openCgroups } from './open-cgroups.ts';

test.each(['hybrid', 'none'] as const)(
  'a host with layout %s is refused with a message that says how to fix it',
  (layout) => {
    const open = (): unknown => openCgroups({ layout, unified: undefined, unifiedControllers: [], v1: new Map() });
    expect(open).toThrow('soulbox doctor');
  },
);

test('with v1, the unified tree is used as well, because crun uses it', () => {
  const v1 = new Map([['freezer', '/c/freezer']]);
  const cgroups = openCgroups({ layout: 'v1', unified: '/c/unified', unifiedControllers: [], v1 });
  expect(cgroups.version).toBe(1);
  expect(cgroups.directoriesOf('/x')).toEqual(['/c/freezer/x', '/c/unified/x']);
});

test('v2 has one folder per group', () => {
  const cgroups = openCgroups({ layout: 'v2', unified: '/c', unifiedControllers: ['cpu'], v1: new Map() });
  expect(cgroups.version).toBe(2);
  expect(cgroups.directoriesOf('/x')).toEqual(['/c/x']);
});
