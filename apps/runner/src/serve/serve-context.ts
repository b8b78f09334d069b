import type { Logger, MeasuredFigures } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { BuildContext } from '../builds/builds.ts';
import type { ConnectionQueue } from '../connections/connection-queue.ts';
import type { CustomMetrics } from '../metrics/custom-metrics.ts';
import type { Imports } from '../exports/imports.ts';
import type { Consumption } from '../metrics/consumption.ts';
import type { CreateContext } from '../operations/create.ts';
import type { TeamUsage } from '../operations/team-usage.ts';
import type { Pool } from '../pool/pool.ts';
import type { DependencyCache } from '../run/dependency-cache.ts';
import type { TemplateMaker } from '../templates/maker.ts';
import type { StartedTemplates } from '../builds/started-templates.ts';
import type { Uploader } from '../object-storage/uploader.ts';
import type { Router } from './router.ts';

/** Everything the runner's routes use. */
export interface ServeContext extends CreateContext, BuildContext {
  readonly pool: Pool;
  readonly maker: TemplateMaker;
  readonly started: StartedTemplates;
  readonly router: Router;
  /** Undefined when it is switched off. */
  readonly dependencies: DependencyCache | undefined;
  /** What sandboxes have used. */
  readonly consumption: Consumption;
  /** What programs in sandboxes report about themselves. */
  readonly customMetrics: CustomMetrics;
  /** The key with which exports are signed. */
  readonly exportKey: () => Promise<string>;
  readonly imports: Imports;
  /** Undefined inside: the host has no object store. */
  readonly uploads: { current: Pick<Uploader, 'figures'> | undefined };
  /** Connections of sandboxes that wait to be recorded. */
  readonly connections: ConnectionQueue;
  /** The team's use of the host's disk. */
  readonly usageOf: (teamId: string) => TeamUsage;
  /** The resource use of this process. */
  readonly measureProcess: () => Promise<MeasuredFigures>;
  readonly logger: Logger;
  /** Aborts when the runner stops. */
  readonly stopping: AbortSignal;
  readonly end: (sandboxId: string, cause: Cause) => Promise<boolean>;
}
