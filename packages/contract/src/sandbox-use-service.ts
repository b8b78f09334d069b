import { createClient } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { EnvdCredential, EnvdPart, SandboxUseService } from '@soulbox/contract/control-sandbox-uses';
import { parseSandboxId } from './ids.ts';
import { controlAway, errorFromConnect } from './error-from-connect.ts';
import { connectErrorFromError } from './error-to-connect.ts';
import { errorForCaller } from './error-to-http.ts';

/** What of envd a request was for, and what it showed. */
export interface EnvdUse {
  readonly part: 'process' | 'files' | 'other';
  readonly credential: 'none' | 'token' | 'signature';
}

/** Requests for envd of a sandbox, since the last report. */
export interface SandboxUse extends EnvdUse {
  readonly sandboxId: string;
  readonly count: number;
}

/** Takes the counts of the gateway. The control plane implements it, because it has the audit logs. */
export interface SandboxUseReporter {
  /** Throws `bad_request` for more than `usesMax` entries. */
  report(uses: readonly SandboxUse[]): Promise<void>;
}

/** Entries of one report. */
export const usesMax = 1000;
const countMax = 1_000_000_000;
const reportMs = 10_000;

const parts = { process: EnvdPart.PROCESS, files: EnvdPart.FILES, other: EnvdPart.OTHER } as const;
const credentials = {
  none: EnvdCredential.NONE,
  token: EnvdCredential.ACCESS_TOKEN,
  signature: EnvdCredential.SIGNATURE,
} as const;

/** Serves reports of the gateway. Entries of another form are dropped: the gateway reads strangers' bytes. */
export function addSandboxUseReports(router: ConnectRouter, reporter: SandboxUseReporter, logger: Logger): void {
  router.service(SandboxUseService, {
    reportSandboxUses: async ({ uses }) => {
      try {
        if (uses.length > usesMax) throw new SoulBoxError('bad_request', `A report has at most ${usesMax} entries.`);
        await reporter.report(uses.flatMap((use) => useFromWire(use)));
        return {};
      } catch (thrown) {
        const error = errorForCaller(errorFromUnknown(thrown));
        if (error.reason === 'internal') logger.error({ err: thrown }, 'uses of sandboxes could not be recorded');
        throw connectErrorFromError(error);
      }
    },
  });
}

interface WireUse {
  readonly sandboxId: string;
  readonly part: EnvdPart;
  readonly credential: EnvdCredential;
  readonly count: number;
}

function useFromWire(wire: WireUse): SandboxUse[] {
  const sandboxId = parseSandboxId(wire.sandboxId);
  const part = nameOf(parts, wire.part);
  const credential = nameOf(credentials, wire.credential);
  const isWhole = sandboxId !== undefined && part !== undefined && credential !== undefined;
  return isWhole && wire.count > 0 && wire.count <= countMax
    ? [{ sandboxId, part, credential, count: wire.count }]
    : [];
}

function nameOf<K extends string, V>(table: Readonly<Record<K, V>>, value: V): K | undefined {
  return (Object.keys(table) as K[]).find((name) => table[name] === value);
}

/** The client, for another process. Throws `control_unavailable` if the control plane is away. */
export function createSandboxUseReporter(transport: Transport): SandboxUseReporter {
  const client = createClient(SandboxUseService, transport);
  return {
    async report(uses) {
      const wire = uses.map(({ part, credential, ...use }) => ({
        ...use,
        part: parts[part],
        credential: credentials[credential],
      }));
      try {
        await client.reportSandboxUses({ uses: wire }, { timeoutMs: reportMs });
      } catch (thrown) {
        throw errorFromConnect(thrown, controlAway);
      }
    },
  };
}
