import { z } from 'zod';
import { SoulBoxError, withSpan } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { BoundedAnswer } from '@soulbox/client/node';
import { callEnvd } from './call-envd.ts';
import { findTraceHeader, noteEnvdTime } from './envd-time.ts';
import { openWay } from './way.ts';
import type { EnvdTarget } from './way.ts';

/** The settings that a sandbox receives when a tenant gets it: the body of envd's `POST /init` (E2B's names). */
export interface EnvdInit {
  readonly envVars: Readonly<Record<string, string>>;
  readonly accessToken?: string;
  /** RFC 3339. */
  readonly timestamp: string;
  readonly defaultUser?: string;
  readonly defaultWorkdir?: string;
  /** The output of commands goes into envd's log. Absent: it does not. */
  readonly logOutput?: boolean | undefined;
  /** The disk was used in an earlier life of the sandbox: envd first removes the files that a reboot clears. */
  readonly freshStart?: boolean;
}

/** The settings that a sandbox receives when its checkpoint runs again: the body of envd's `POST /resumed`. */
export interface EnvdResumed {
  readonly sandboxId: string;
  /** From `SandboxSpec`: letters, digits, dots, dashes and underscores, at most 128. */
  readonly generation: string;
  /** RFC 3339. */
  readonly timestamp: string;
  /** False if the sandbox itself continues where it was paused. */
  readonly isCopy: boolean;
  // A given field replaces its value, an absent one keeps it. An empty text unsets it.
  readonly envVars?: Readonly<Record<string, string>>;
  readonly accessToken?: string;
  readonly defaultUser?: string;
  readonly defaultWorkdir?: string;
  readonly logOutput?: boolean;
}

/** The body of envd's `POST /soulbox/trust`. */
export interface EnvdAuthority {
  /** PEM. */
  readonly certificate: string;
  /** The name of its file in a folder of certificates, without `.0`. */
  readonly subjectHash: string;
  /** Certificates in PEM, for a sandbox without a list of its own. */
  readonly roots?: string;
}

const trustSchema = z.object({ needsRoots: z.boolean() });

const logsSchema = z.object({
  entries: z.array(
    z.object({
      seq: z.number().int(),
      timestamp: z.string().max(64),
      level: z.enum(['debug', 'info', 'warn', 'error']).catch('info'),
      logger: z.string().max(256),
      message: z.string().max(16_384),
      fields: z.record(z.string(), z.string()),
    }),
  ),
});

const customSchema = z.object({
  sources: z
    .array(
      z.object({ name: z.string().max(128), text: z.string().max(70_000), fault: z.string().max(1000).optional() }),
    )
    .max(32),
});

/** Metrics of user code, as it wrote them. `fault`: why there is no text, or not all of it. */
export type EnvdCustomSource = z.infer<typeof customSchema>['sources'][number];

export type EnvdLogEntry = z.infer<typeof logsSchema>['entries'][number];

/** envd answers from memory. If it takes longer, the sandbox is considered unreachable. */
const answerTimeoutMs = 10_000;
/** A spare waits for its rehearsal, with the template's programs running. */
const rehearsalTimeoutMs = 1000;
/** A port of user code may take a second to answer. */
const customTimeoutMs = 3000;
/** envd is hostile, so an answer above this size is cut off. */
const maxAnswerBytes = 4 * 1024 * 1024;

/**
 * The calls to a sandbox's envd that only the host may make. Each dialed call has a connection of its own, so that a
 * kill leaves none behind.
 */
export interface EnvdClient {
  /** True if envd answers. Never throws. */
  isHealthy(): Promise<boolean>;
  init(init: EnvdInit): Promise<void>;
  /**
   * Resolves when envd has renewed its own state and the sandbox's hooks have run, which may take 5 s. Safe to repeat.
   * If it throws `sandbox_unreachable`, a copy must not be served: it could serve the secrets of its source.
   */
  resumed(resumed: EnvdResumed): Promise<void>;
  /**
   * Lets envd go through a `resumed` without its effects, so that the real call is faster. True if it did; an envd of an
   * older version does not know the call. Never throws.
   */
  rehearseResumed(resumed: EnvdResumed): Promise<boolean>;
  /**
   * Adds a certificate authority to the trust stores of the sandbox. True if the sandbox has no list of public
   * authorities and `roots` gave none; then repeat it with `roots`. Throws `sandbox_unreachable`. Safe to repeat.
   */
  trust(authority: EnvdAuthority): Promise<boolean>;
  /** Returns log entries after `seq`, oldest first. Their number is bounded. */
  logs(after: number): Promise<EnvdLogEntry[]>;
  /** What programs in the sandbox report. Empty for an envd that does not know the call. Throws `sandbox_unreachable`. */
  customMetrics(): Promise<EnvdCustomSource[]>;
  /** Aborts every call in progress. */
  close(): void;
}

export function createEnvdClient(target: EnvdTarget, hostToken: Secret): EnvdClient {
  const way = openWay(target);
  const call = async (
    method: 'GET' | 'POST',
    path: string,
    message?: object,
    timeoutMs = answerTimeoutMs,
  ): Promise<BoundedAnswer> =>
    await callEnvd(way, {
      method,
      path,
      headers: {
        [headers.hostToken]: hostToken.reveal(),
        ...findTraceHeader(),
        ...(message === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(message === undefined ? {} : { body: Buffer.from(JSON.stringify(message)) }),
      timeoutMs,
      maxAnswerBytes,
    });
  /** A call that changes something in the sandbox. */
  const order = async (path: string, message: object): Promise<BoundedAnswer> =>
    await withSpan({ name: `envd POST ${path}`, kind: 'client', needsParent: true }, async () => {
      const [startedAt, begin] = [Date.now(), performance.now()];
      const answer = await call('POST', path, message);
      noteEnvdTime(path, answer.rawHeaders, { startedAt, tookMs: performance.now() - begin });
      return answer;
    });
  return {
    async isHealthy() {
      try {
        return (await call('GET', '/health')).status === 204;
      } catch {
        return false;
      }
    },
    async init(init) {
      const { status } = await order('/init', init);
      if (status !== 204) {
        throw new SoulBoxError(
          'sandbox_unreachable',
          `The envd of the sandbox rejected its settings (status ${status}).`,
        );
      }
    },
    async resumed(resumed) {
      const { status } = await order('/resumed', resumed);
      if (status !== 204) {
        throw new SoulBoxError(
          'sandbox_unreachable',
          `The envd of the sandbox did not confirm the resume (status ${status}).`,
        );
      }
    },
    async rehearseResumed(resumed) {
      try {
        return (await call('POST', '/rehearse-resumed', resumed, rehearsalTimeoutMs)).status === 204;
      } catch {
        return false;
      }
    },
    async trust(authority) {
      const { status, body } = await order('/soulbox/trust', authority);
      const answer = status === 200 ? trustSchema.safeParse(parseJson(body.toString('utf8'))).data : undefined;
      if (answer === undefined)
        throw new SoulBoxError(
          'sandbox_unreachable',
          `The envd of the sandbox did not take its certificate authority (status ${status}).`,
        );
      return answer.needsRoots;
    },
    async logs(after) {
      const { status, body } = await call('GET', `/soulbox/logs?after=${after}`);
      if (status !== 200) return [];
      return logsSchema.safeParse(parseJson(body.toString('utf8'))).data?.entries ?? [];
    },
    async customMetrics() {
      const { status, body } = await call('GET', '/soulbox/metrics', undefined, customTimeoutMs);
      if (status !== 200) return [];
      return customSchema.safeParse(parseJson(body.toString('utf8'))).data?.sources ?? [];
    },
    close() {
      way.close();
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
