import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { Driver, EnvdRuntime } from '@soulbox/isolation';
import type { Network } from '@soulbox/network';
import type { TemplateStore } from '@soulbox/templates';
import type { RunnerConfig } from './config.ts';
import { rehearse } from './envd/rehearse.ts';
import { createEvents } from './events.ts';
import type { Events } from './events.ts';
import { createSandboxMetrics } from './metrics/sandbox-metrics.ts';
import type { SandboxMetrics } from './metrics/sandbox-metrics.ts';
import { createAdmission } from './sandboxes/admission.ts';
import { bootSandbox } from './sandboxes/boot.ts';
import type { SandboxHost } from './sandboxes/boot.ts';
import type { CreateContext } from './sandboxes/create.ts';
import { endSandbox, retryEndings } from './sandboxes/end.ts';
import type { EndCause } from './sandboxes/end.ts';
import { startKeeper } from './sandboxes/keeper.ts';
import { createLogBook } from './sandboxes/log-book.ts';
import type { LogBook } from './sandboxes/log-book.ts';
import { createPool } from './sandboxes/pool.ts';
import { createRecordStore } from './sandboxes/record.ts';
import { recoverSandboxes } from './sandboxes/recover.ts';
import { createRouter } from './sandboxes/router.ts';
import type { Router } from './sandboxes/router.ts';
import { createSlots } from './sandboxes/slots.ts';
import { createSandboxTable } from './sandboxes/table.ts';

export interface RunnerOptions {
  readonly config: RunnerConfig;
  /** Where sandboxes live: `<dataDirectory>/sandboxes`. */
  readonly dataDirectory: string;
  readonly driver: Driver;
  readonly network: Network;
  readonly templates: TemplateStore;
  readonly runtime: EnvdRuntime;
  /** The template whose spares are kept from the start and for good. */
  readonly defaultTemplate: string;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** Everything the runner's routes use; constructed here and nowhere else. */
export interface RunnerContext extends CreateContext, AsyncDisposable {
  readonly router: Router;
  readonly events: Events;
  readonly templates: TemplateStore;
  readonly metrics: SandboxMetrics;
  readonly logBook: LogBook;
  readonly logger: Logger;
  /** Aborts when the runner stops. */
  readonly stopping: AbortSignal;
  readonly end: (sandboxId: string, cause: EndCause) => Promise<boolean>;
}

/** Recovers what an earlier server left, then starts the pool, the keeper and the metrics. */
export async function createRunnerContext(options: RunnerOptions): Promise<RunnerContext> {
  const { config, driver, network, templates, logger } = options;
  const clock = options.clock ?? systemClock;
  const directory = join(options.dataDirectory, 'sandboxes');
  await mkdir(directory, { recursive: true, mode: 0o700 });

  const store = createRecordStore(directory);
  const host: SandboxHost = {
    config,
    driver,
    network,
    runtime: options.runtime,
    slots: createSlots(),
    store,
    logger,
  };
  const table = createSandboxTable(store);
  const router = createRouter(table);
  const events = createEvents();
  const logBook = createLogBook(table, clock);
  const metrics = createSandboxMetrics({ driver, network, clock, logger });
  const stopping = new AbortController();
  const endings = new Set<Promise<unknown>>();

  const endContext = {
    host,
    table,
    events,
    cutOff: (sandboxId: string): void => {
      metrics.remove(sandboxId);
      router.cutOff(sandboxId);
    },
  };
  const end = async (sandboxId: string, cause: EndCause): Promise<boolean> => {
    const ending = endSandbox(endContext, sandboxId, cause);
    endings.add(ending);
    try {
      return await ending;
    } finally {
      endings.delete(ending);
    }
  };

  const pool = createPool({
    size: config.poolSize,
    bootConcurrency: config.bootConcurrency,
    idleMs: config.poolIdleSeconds * 1000,
    boot: async (template) => {
      const sandbox = await bootSandbox(host, template);
      table.add(sandbox);
      await table.step(sandbox, 'warm');
      return sandbox;
    },
    rehearse: async ({ envd }, template) => {
      await rehearse(envd, template.defaultUser);
    },
    discard: async (sandbox) => {
      await end(sandbox.record.sandboxId, 'killed');
    },
    logger,
  });

  const recovery = await recoverSandboxes(host, table, pool, templates);
  logger.info({ ...recovery }, 'sandboxes recovered');
  for (const sandbox of table.running()) metrics.add(sandbox);
  const template = await templates.find(options.defaultTemplate);
  if (template !== undefined) pool.keep(template, { pinned: true });

  const keeper = startKeeper({
    table,
    pool,
    driver,
    clock,
    end,
    retryEndings: async () => {
      await retryEndings(endContext);
    },
    logger,
  });

  return {
    host,
    pool,
    admission: createAdmission(config.maxSandboxes, () => table.running().length),
    table,
    clock,
    router,
    events,
    templates,
    metrics,
    logBook,
    logger,
    stopping: stopping.signal,
    end,
    abandon: async (sandboxId) => {
      await end(sandboxId, 'failed');
    },
    async [Symbol.asyncDispose]() {
      keeper[Symbol.dispose]();
      metrics[Symbol.dispose]();
      stopping.abort();
      await pool.close();
      await Promise.allSettled(endings);
      for (const sandbox of table.all()) sandbox.namespace.close();
    },
  };
}
