import { expect } from 'vitest';
import type { ScriptedBuild } from './scripted-builds.ts';
import { until } from './test-api.ts';
import type { TestApi } from './test-api.ts';

export interface Requested {
  readonly templateID: string;
  readonly buildID: string;
  readonly names: string[];
  readonly tags: string[];
}

interface Options {
  readonly key?: string;
  readonly request?: object;
  readonly start?: object;
}

const keyOf = ({ key }: Options) => (key === undefined ? {} : { key });

/** Requests a build. */
export async function requestBuild(api: TestApi, name: string, options: Options = {}): Promise<Requested> {
  const answer = await api.ask('POST', '/v3/templates', { ...keyOf(options), body: { name, ...options.request } });
  expect([answer.status, answer.text]).toEqual([202, expect.any(String)]);
  return answer.json as Requested;
}

/** Starts a build and returns the runner's side of it. */
export async function startBuild(
  api: TestApi,
  { templateID, buildID }: Requested,
  options: Options = {},
): Promise<ScriptedBuild> {
  const body = { fromImage: 'debian:stable', ...options.start };
  const answer = await api.ask('POST', `/v2/templates/${templateID}/builds/${buildID}`, { ...keyOf(options), body });
  expect([answer.status, answer.text]).toEqual([202, '']);
  return await runnerSide(api, buildID);
}

/** The request for a build that the runner received. */
export async function runnerSide(api: TestApi, buildID: string): Promise<ScriptedBuild> {
  const find = () => api.runner.builds.get(buildID.replaceAll('-', ''));
  await until(() => find() !== undefined);
  return find() as ScriptedBuild;
}

export interface Status {
  readonly status: string;
  readonly logs: unknown[];
  readonly logEntries: { timestamp: string; message: string; level: string; step?: string }[];
  readonly reason?: { message: string; step?: string; logEntries: { message: string; step?: string }[] };
}

export async function statusOf(api: TestApi, { templateID, buildID }: Requested, query = ''): Promise<Status> {
  const answer = await api.ask('GET', `/templates/${templateID}/builds/${buildID}/status${query}`);
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return answer.json as Status;
}

/** Creates a template with a finished build. */
export async function buildTemplate(api: TestApi, name: string, options: Options = {}): Promise<Requested> {
  const requested = await requestBuild(api, name, options);
  (await startBuild(api, requested, options)).finish();
  await until(async () => (await api.records.builds.find(requested.buildID))?.status === 'ready');
  return requested;
}
