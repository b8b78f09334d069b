/** @module-tag violation */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allAttempts } from './all-attempts.ts';
import { compareHostStates } from './host-state.ts';
import { walls } from './walls.ts';
import type { Wall } from './walls.ts';

const repository = join(import.meta.dirname, '../..');
const page = readFileSync(join(repository, 'docs/security.md'), 'utf8').toLowerCase();

test.each(Object.entries(walls))('the wall %s is one of docs/security.md, and something attacks it', (key, text) => {
  const isRow = page.includes(`\n| ${text} |`);
  const isHeading = page.includes(`\n## ${text}\n`);
  expect({ text, isThere: isRow || isHeading }).toEqual({ text, isThere: true });
  expect(allAttempts.filter(({ wall }) => wall === (key as Wall)).length).toBeGreaterThan(0);
});

/** The rows of the table with this head, each as its cells. */
function readTable(head: string): string[][] {
  const [, after = ''] = page.split(`\n${head}\n`);
  const rows = /^\| --- .*\n((?:\|.*\n)+)/.exec(after)?.[1] ?? '';
  return rows
    .trim()
    .split('\n')
    .map((row) => row.split('|').map((cell) => cell.trim()));
}

test('something attacks each wall of the page, and the files that do exist', () => {
  const attacks = new Map(readTable('| wall | attacked by |').map(([, wall = '', files = '']) => [wall, files]));
  const rows = readTable('| wall | made of | where |').map(([, wall = '']) => wall);
  expect(rows.length).toBeGreaterThan(15);
  expect(rows.filter((wall) => !attacks.has(wall))).toEqual([]);
  for (const files of attacks.values()) {
    const named = [...files.matchAll(/`((?:e2e|packages|apps)\/[^`]+)`/g)].map(([, file = '']) => file);
    expect(named.length, files).toBeGreaterThan(0);
    expect(named.filter((file) => !existsSync(join(repository, file)))).toEqual([]);
  }
});

test('there are enough attempts, and no two have one name', () => {
  const names = allAttempts.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  const count = (isMeant: (by: string) => boolean): number => allAttempts.filter(({ by }) => by.some(isMeant)).length;
  expect(count((by) => by !== 'outside')).toBeGreaterThanOrEqual(80);
  expect(count((by) => by === 'outside')).toBeGreaterThanOrEqual(40);
});

test('a changed setting, mount, device or process of the host is reported', () => {
  const before = new Map([
    ['/proc/sys/kernel/core_pattern', 'core'],
    ['mounts', '/ rw'],
    ['escaped processes', ''],
    ['gone', 'x'],
  ]);
  const after = new Map([
    ['/proc/sys/kernel/core_pattern', '|/x'],
    ['mounts', '/ rw\n/mnt rw'],
    ['escaped processes', '17 of 536870913'],
    ['new', 'y'],
  ]);
  expect(compareHostStates(before, before)).toEqual([]);
  expect(compareHostStates(before, after)).toHaveLength(3);
});
