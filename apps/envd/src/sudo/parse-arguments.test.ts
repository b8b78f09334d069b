import { expect, test } from 'vitest';
import { parseArguments } from './parse-arguments.ts';

const usual = {
  kind: 'run',
  target: 'root',
  shell: 'none',
  keepsEnvironment: false,
  keepsVariables: [],
  setsHome: false,
  variables: {},
};

test.each([
  ['id', { command: ['id'] }],
  ['-n -u other id -u', { target: 'other', command: ['id', '-u'] }],
  ['-nEuother id', { target: 'other', keepsEnvironment: true, command: ['id'] }],
  ['--user=other --login', { target: 'other', shell: 'login', command: [] }],
  ['--user other id', { target: 'other', command: ['id'] }],
  ['A=b -H C=d=e id F=g', { setsHome: true, variables: { A: 'b', C: 'd=e' }, command: ['id', 'F=g'] }],
  ['--preserve-env=A,B --preserve-env=C id', { keepsVariables: ['A', 'B', 'C'], command: ['id'] }],
  ['-p prompt -S id', { command: ['id'] }],
  ['-s -- -x', { shell: 'shell', command: ['-x'] }],
  ['-k id', { command: ['id'] }],
])('%s', (line, expected) => {
  expect(parseArguments(line.split(' '))).toEqual({ ...usual, ...expected });
});

test.each([
  ['-V', 'version'],
  ['-h', 'help'],
  ['-v', 'validate'],
  ['-n -l', 'list'],
  ['-k', 'nothing'],
  ['-K', 'nothing'],
])('%s is %s', (line, kind) => {
  expect(parseArguments(line.split(' '))).toEqual({ kind });
});

test.each([[''], ['-u'], ['--odd id'], ['-e file'], ['-g group id'], ['A=b'], ['-n']])('%j is rejected', (line) => {
  expect(parseArguments(line === '' ? [] : line.split(' '))).toMatchObject({ kind: 'unusable' });
});
