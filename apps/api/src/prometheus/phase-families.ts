import { phaseBoundsSeconds, readPhaseFigures } from '@soulbox/base';
import type { PhaseFigures } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import { samplesFromHistogram } from '../meters/histogram.ts';
import type { MetricFamily } from '../meters/text-format.ts';
import { callRunner } from '../runner/call.ts';

/**
 * Durations of the phases of operations: those of the runner, and those of this process, such as starts of functions.
 * And how often the caches helped.
 */
export async function phaseFamilies({ runner }: ApiContext): Promise<MetricFamily[]> {
  const answer = await callRunner((options) => runner.getPhases({}, options));
  const theirs = answer.series.map(({ counts, total, ...one }) => ({
    ...one,
    counts: counts.map(Number),
    total: Number(total),
  }));
  // In a single-process server both have the same figures.
  const known = new Set(theirs.map(idOf));
  const own = readPhaseFigures().filter((one) => !known.has(idOf(one)));
  return [
    {
      name: 'soulbox_operation_phase_seconds',
      help: 'Time of operations on sandboxes by phase; the phase total is the whole operation.',
      type: 'histogram',
      samples: [
        ...theirs.flatMap((one) => samplesOf(one, answer.boundsSeconds)),
        ...own.flatMap((one) => samplesOf(one, phaseBoundsSeconds)),
      ],
    },
    {
      name: 'soulbox_cache_uses_total',
      help: 'Uses of the caches of the server: those that found something (hit), and others (miss).',
      type: 'counter',
      samples: answer.caches.flatMap(({ name, hits, misses }) => [
        { labels: { cache: name, outcome: 'hit' }, value: Number(hits) },
        { labels: { cache: name, outcome: 'miss' }, value: Number(misses) },
      ]),
    },
  ];
}

const idOf = ({ operation, phase }: Pick<PhaseFigures, 'operation' | 'phase'>): string => `${operation} ${phase}`;

function samplesOf(
  { operation, phase, counts, total, sumSeconds }: PhaseFigures,
  bounds: readonly number[],
): MetricFamily['samples'] {
  return samplesFromHistogram({ operation, phase }, { bounds, counts, total, sum: sumSeconds });
}
