import type { Sandbox } from '@soulbox/contract/runner';
import type { SandboxRecord } from '@soulbox/storage';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { checkTimeout, latestEnd } from './deadline.ts';
import { getLive, goneFromRunner, withRow } from '../lookup/sandbox.ts';
import { withReservations } from './reservations.ts';

export interface ResumeOptions {
  /** Seconds from now. For a running sandbox, an end before the current one is ignored. */
  readonly timeoutSeconds: number;
  /** False discards the saved memory: the sandbox boots from its files. Has no effect on a running sandbox. */
  readonly withMemory: boolean;
}

export interface Resumed {
  readonly sandbox: Sandbox;
  /** False: it was already running. */
  readonly resumed: boolean;
}

/**
 * Makes the caller's sandbox run for the requested time. A resumed sandbox counts towards the limit of the team again.
 */
export async function resumeSandbox(
  context: ApiContext,
  caller: Caller,
  idText: string,
  options: ResumeOptions,
): Promise<Resumed> {
  checkTimeout(context, options.timeoutSeconds);
  const record = await getLive(context, caller, idText);
  if (record.state !== 'paused') return extend(context, record, options);
  const { id, templateId, memoryMb, createdBy: keyId } = record;
  const wanted = { id, templateId, sandboxCount: 1, memoryMb, keyId, isCreate: false };
  const resume = () => askRunner(context, record, options);
  const answer = await withReservations(context, caller, wanted, resume, ({ sandbox }) => [sandbox]);
  if (answer.resumed) context.logger.info({ sandboxId: record.id }, 'sandbox resumed');
  return answer;
}

async function extend(context: ApiContext, record: SandboxRecord, options: ResumeOptions): Promise<Resumed> {
  const left = Math.floor((latestEnd(context, record) - context.clock.now()) / 1000);
  const timeoutSeconds = Math.max(0, Math.min(options.timeoutSeconds, left));
  const answer = await askRunner(context, record, { ...options, timeoutSeconds });
  await context.records.sandboxes.put(factsFromRunner(answer.sandbox), context.clock.now());
  return answer;
}

async function askRunner(context: ApiContext, record: SandboxRecord, options: ResumeOptions): Promise<Resumed> {
  const { sandbox, resumed } = await withRow(context, record, () =>
    callRunner((call) => context.runner.resumeSandbox({ sandboxId: record.id, ...options }, call), runnerStateMs),
  );
  if (sandbox === undefined) throw await goneFromRunner(context, record);
  return { sandbox, resumed };
}
