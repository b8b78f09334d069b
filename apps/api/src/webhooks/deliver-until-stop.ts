import type { Delivery } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { sendDelivery } from './send.ts';
import { createTargetPolicy } from './target.ts';
import type { TargetPolicy } from './target.ts';

/** Limits of simultaneous deliveries, for all webhooks and for one: a slow receiver must not delay the others. */
const concurrencyMax = 16;
const perWebhookMax = 2;
/** As in E2B: up to three more attempts, ten seconds apart. */
const retriesMax = 3;
const retryAfterMs = 10_000;
/** Deliveries that another process has queued are seen after this time at the latest. */
const lookAgainMs = 30_000;

/**
 * Delivers queued events until the server stops. The queue is in the records: a delivery that was in progress when the
 * server was killed is sent again after the next start, with the same id (at least once, not in order).
 */
export async function deliverUntilStop(context: ApiContext): Promise<void> {
  const policy = createTargetPolicy(context.config.webhookAllowPrivate, context.outside);
  const underway = new Map<string, { webhookId: string; done: Promise<void> }>();
  const alarm = createAlarm(context.stopping);
  const unsubscribe = context.records.deliveries.onAdded(() => alarm.ring());
  while (!context.stopping.aborted) {
    const nextAt = await startDue(context, underway, (delivery) => {
      const done = deliver(context, policy, delivery).finally(() => {
        underway.delete(delivery.id);
        alarm.ring();
      });
      underway.set(delivery.id, { webhookId: delivery.webhook.id, done });
    });
    await alarm.wait(Math.min(lookAgainMs, Math.max(1, (nextAt ?? Infinity) - context.clock.now())));
  }
  unsubscribe();
  await Promise.all([...underway.values()].map(({ done }) => done));
}

type Underway = ReadonlyMap<string, { webhookId: string }>;

/** Starts due deliveries within the limits. Returns the time of the next check; undefined: at the next change. */
async function startDue(
  context: ApiContext,
  underway: Underway,
  start: (delivery: Delivery) => void,
): Promise<number | undefined> {
  const now = context.clock.now();
  try {
    for (;;) {
      const due = await context.records.deliveries.listDue({
        ...{ now, exceptIds: [...underway.keys()], exceptWebhookIds: fullWebhooks(underway) },
        limit: concurrencyMax - underway.size,
      });
      const [next] = due;
      if (next === undefined) return await context.records.deliveries.nextDueAt(now);
      start(next);
    }
  } catch (thrown) {
    if (!context.stopping.aborted) context.logger.warn({ err: thrown }, 'webhook deliveries could not be read');
    return now + retryAfterMs;
  }
}

function fullWebhooks(underway: Underway): string[] {
  const counts = new Map<string, number>();
  for (const { webhookId } of underway.values()) counts.set(webhookId, (counts.get(webhookId) ?? 0) + 1);
  return [...counts].filter(([, count]) => count >= perWebhookMax).map(([id]) => id);
}

/** Makes one attempt and records its result. Never rejects. */
async function deliver(context: ApiContext, policy: TargetPolicy, delivery: Delivery): Promise<void> {
  const facts = { webhookId: delivery.webhook.id, deliveryId: delivery.id, attempt: delivery.failures + 1 };
  const { deliveries } = context.records;
  try {
    try {
      await sendDelivery(delivery, { policy, keyring: context.keyring, stopping: context.stopping });
      await deliveries.finish(delivery.id);
      context.logger.debug(facts, 'webhook delivered');
    } catch (thrown) {
      // Interrupted by our own stop: it stays queued and is sent after the next start.
      if (context.stopping.aborted) return;
      await afterFailure(context, delivery);
      const fault = thrown instanceof Error ? thrown.message : 'unknown';
      context.logger.warn({ ...facts, fault }, 'webhook delivery failed');
    }
  } catch (thrown) {
    context.logger.error({ ...facts, err: thrown }, 'webhook delivery could not be recorded');
  }
}

async function afterFailure(context: ApiContext, delivery: Delivery): Promise<void> {
  const { deliveries } = context.records;
  if (delivery.failures >= retriesMax) await deliveries.finish(delivery.id);
  else await deliveries.postpone(delivery.id, context.clock.now() + retryAfterMs);
}

interface Alarm {
  /** Ends the current wait, or the next one if there is none. */
  ring(): void;
  /** Resolves after `ms`, at a ring, or when the server stops. */
  wait(ms: number): Promise<void>;
}

function createAlarm(stopping: AbortSignal): Alarm {
  let rung = false;
  let wake = (): void => undefined;
  const ring = (): void => {
    rung = true;
    wake();
  };
  stopping.addEventListener('abort', ring, { once: true });
  return {
    ring,
    wait: async (ms) => {
      if (!rung)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      rung = false;
    },
  };
}
