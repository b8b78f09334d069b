import type { Client } from '@connectrpc/connect';
import type { RunnerService } from '@soulbox/contract/runner';

/** A client of the runner. */
export type Runner = Client<typeof RunnerService>;
