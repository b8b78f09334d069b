import { headers as names } from '@soulbox/contract';
import { usesMax } from '@soulbox/contract/sandbox-use-service';
import type { EnvdUse, SandboxUse, SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { Logger } from '@soulbox/base';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';

/** Counts requests for envd and reports them to the control plane, for the audit logs. No request waits for a report. */
export interface EnvdUses extends AsyncDisposable {
  note(exchange: Pick<Exchange, 'headers'>, sandboxId: string, path: string): void;
}

/** Milliseconds between two reports. What is counted meanwhile is lost if the gateway is killed. */
const everyMs = 5000;
/** Sandboxes and kinds of requests that wait for a report. More are not counted while the control plane is away. */
const waitingMax = 20_000;

export function createEnvdUses(reporter: SandboxUseReporter, logger: Logger): EnvdUses {
  let counts = new Map<string, { readonly use: Omit<SandboxUse, 'count'>; count: number }>();
  let lost = 0;
  let reporting: Promise<void> | undefined;

  const add = (use: Omit<SandboxUse, 'count'>, count: number): void => {
    const name = `${use.sandboxId} ${use.part} ${use.credential}`;
    const known = counts.get(name);
    if (known !== undefined) known.count += count;
    else if (counts.size < waitingMax) counts.set(name, { use, count });
    else lost += count;
  };
  const report = async (): Promise<void> => {
    const taken = [...counts.values()].map(({ use, count }) => ({ ...use, count }));
    counts = new Map();
    for (let from = 0; from < taken.length; from += usesMax) {
      const batch = taken.slice(from, from + usesMax);
      try {
        await reporter.report(batch);
      } catch (err) {
        logger.debug({ err }, 'uses of sandboxes could not be reported; they are reported later');
        for (const { count, ...use } of batch) add(use, count);
      }
    }
    if (lost > 0) logger.error({ lost }, 'uses of sandboxes are missing in the audit logs');
    lost = 0;
  };
  const start = (): void => {
    reporting ??= report().finally(() => (reporting = undefined));
  };
  const timer = setInterval(() => {
    if (counts.size > 0) start();
  }, everyMs);
  timer.unref();

  return {
    note(exchange, sandboxId, path) {
      const use = useOf(exchange, path);
      if (use !== undefined) add({ sandboxId, ...use }, 1);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await reporting;
      await report();
    },
  };
}

/** Undefined for requests that only ask whether envd is there. */
export function useOf({ headers }: Pick<Exchange, 'headers'>, path: string): EnvdUse | undefined {
  const [bare = '', query] = path.split('?', 2);
  if (bare === '/health') return undefined;
  const isSigned = query?.includes('signature=') === true;
  const credential = findHeader(headers, names.accessToken) !== undefined ? 'token' : isSigned ? 'signature' : 'none';
  if (bare.startsWith('/process.Process/') || bare.startsWith('/soulbox.')) return { part: 'process', credential };
  const isFiles = bare.startsWith('/filesystem.Filesystem/') || bare === '/files' || bare.startsWith('/files/');
  return { part: isFiles ? 'files' : 'other', credential };
}
