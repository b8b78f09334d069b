import { expect, it } from 'vitest';
import { withWholeName } from './whole-names.ts';

it.each([
  ['DELETE', '/templates/default/mine:v1', '/templates/default%2Fmine:v1'],
  ['DELETE', '/templates/default/mine%3Av1', '/templates/default%2Fmine%3Av1'],
  ['GET', '/templates/default/mine?limit=1', '/templates/default%2Fmine?limit=1'],
  ['GET', '/templates/default/mine/tags', '/templates/default%2Fmine/tags'],
  ['GET', '/templates/aliases/default/mine:v1', '/templates/aliases/default%2Fmine:v1'],
  ['GET', '/templates/tags/mine', '/templates/tags%2Fmine'],
])('%s %s means %s', (method, url, expected) => {
  expect(withWholeName(method, url)).toBe(expected);
});

it.each([
  ['DELETE', '/templates/mine'],
  ['DELETE', '/templates/tags'],
  ['DELETE', '/templates/default%2Fmine:v1'],
  ['DELETE', '/templates/aliases/mine'],
  ['GET', '/templates/aliases/mine'],
  ['GET', '/templates/aliases/default%2Fmine'],
  ['GET', '/templates/mine/tags'],
  ['GET', '/templates/mine/tags?x=/a/b'],
  ['GET', '/templates/mine/builds/1/status'],
  ['GET', '/templates/mine/files/1'],
  ['GET', '/templates/a/b/c'],
  ['GET', '/templates/a/b/'],
  ['GET', '/templates//b'],
  ['GET', '/v2/templates/a/b'],
  ['POST', '/templates/mine/builds'],
  ['GET', '/templates?x=/templates/a/b'],
])('%s %s stays unchanged', (method, url) => {
  expect(withWholeName(method, url)).toBe(url);
});
