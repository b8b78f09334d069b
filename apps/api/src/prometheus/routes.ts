import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { callRunner } from '../runner/call.ts';
import { aliveAfter } from '../lookup/sandbox.ts';
import { readPages } from '../paging/read-pages.ts';
import { customFamilies } from './custom-families.ts';
import { diskFamilies } from './disk-families.ts';
import { hostDiskFamilies } from './host-disk-families.ts';
import { objectCacheFamilies } from './object-cache-families.ts';
import { storageFamilies } from './storage-families.ts';
import { teamFamilies } from './team-families.ts';
import { readUsage } from '../teams/usage.ts';
import { sandboxFamilies } from './sandbox-families.ts';
import type { MeasuredSandbox } from './sandbox-families.ts';
import { phaseFamilies } from './phase-families.ts';
import { poolFamilies } from './pool-families.ts';
import { processFamilies } from './process-families.ts';
import { witnessFamilies } from './witness-families.ts';
import { formatMetrics, gauge, prometheusContentType } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** Limit of sandboxes in one scrape; the newest are included. */
const sandboxesMax = 10_000;

export function addPrometheusRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/metrics',
    {
      config: { auth: 'key-or-operator' },
      schema: {
        tags: ['metrics'],
        summary: "Metrics for Prometheus: of the team's sandboxes, or of the server with the operator's token",
        description:
          "An API key returns the metrics of its team only. The operator's token returns those of the server. It is sent as a bearer " +
          'token and set by `SOULBOX_METRICS_TOKEN`; by default it is in the file `secrets/metrics-token` of the data folder.',
        querystring: z.object({
          custom: z
            .enum(['0', '1'])
            .default('0')
            .describe('`1`: also the metrics that programs in the sandboxes report. Only with an API key.'),
        }),
        response: {
          200: { description: 'Text format 0.0.4', content: { 'text/plain': { schema: z.string() } } },
          ...errors(503),
        },
      },
    },
    async (request, reply) => {
      const families = request.isOperator
        ? await serverFamilies(context)
        : await familiesOfTeam(context, callerOf(request).team.id, request.query.custom === '1');
      return reply.type(prometheusContentType).send(formatMetrics(families));
    },
  );
}

async function measure(context: ApiContext, teamId: string): Promise<MeasuredSandbox[]> {
  const query = { teamId, aliveAfter: aliveAfter(context), metadata: {}, template: undefined, startedAfter: undefined };
  const sandboxes: { id: string; template: string }[] = [];
  for await (const page of readPages(context, { ...query, states: ['running'], order: 'desc' }, sandboxesMax))
    sandboxes.push(...page.map(({ id, alias, templateId }) => ({ id, template: alias === '' ? templateId : alias })));
  const sandboxIds = sandboxes.map(({ id }) => id);
  if (sandboxIds.length === 0) return [];
  const { series } = await callRunner((options) => context.runner.getMetrics({ sandboxIds }, options));
  const newest = new Map(series.map((entry) => [entry.sandboxId, entry.metrics.at(-1)]));
  return sandboxes.map((sandbox) => ({ ...sandbox, metric: newest.get(sandbox.id) }));
}

async function familiesOfTeam(context: ApiContext, teamId: string, withCustom: boolean): Promise<MetricFamily[]> {
  const sandboxes = await measure(context, teamId);
  return [
    runningFamily('Running sandboxes of the team.', sandboxes.length),
    ...teamFamilies(await readUsage(context, teamId)),
    ...sandboxFamilies(sandboxes),
    ...(withCustom ? await customFamilies(context, sandboxes) : []),
  ];
}

function runningFamily(help: string, running: number): MetricFamily {
  return gauge('soulbox_sandboxes_running', help, running);
}

async function serverFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const live = await context.records.sandboxes.listLive();
  const running = live.filter(({ state }) => state === 'running').length;
  return [
    runningFamily('Running sandboxes of all teams.', running),
    gauge('soulbox_sandboxes_paused', 'Paused sandboxes of all teams.', live.length - running),
    gauge(
      'soulbox_blobs_readable',
      '1 while uploads or blobs of functions that an earlier version stored may be readable on the disk.',
      context.fileKeys.mayBeReadable ? 1 : 0,
    ),
    ...(await poolFamilies(context)),
    ...(await phaseFamilies(context)),
    ...(await processFamilies(context)),
    ...context.failures.families(),
    ...diskFamilies(context),
    ...witnessFamilies(context),
    ...(await hostDiskFamilies(context)),
    ...(await storageFamilies(context)),
    ...(await objectCacheFamilies(context)),
    context.durations.family(),
  ];
}
