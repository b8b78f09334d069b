import { z } from 'zod';

/**
 * The exit code of a unit that the supervisor has stopped, or that has found no supervisor. systemd restarts a unit after
 * any other end (deploy/systemd).
 */
export const stoppedUnitCode = 64;

/** The descriptor, in the part, of the socket between supervisor and part: the first one after the standard streams. */
export const channelFd = 3;

/** The orders that a supervisor sends to its parts. */
export const orderSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('start'),
    settings: z.record(z.string(), z.unknown()),
    /**
     * Present if the part is a systemd unit: SIGTERM stops it, and it reports its readiness on this connected datagram
     * socket.
     */
    unit: z.object({ notifyDescriptor: z.number().int() }).optional(),
  }),
  z.object({ kind: z.literal('stop'), keepSandboxes: z.boolean() }),
  /** Answered at once with `alive` by every part that can still run. */
  z.object({ kind: z.literal('alive') }),
  /** Any other order that the part understands. */
  z.object({ kind: z.literal('tell'), what: z.string(), value: z.unknown().optional() }),
]);
export type Order = z.infer<typeof orderSchema>;

/** Parts that run only when they are needed. */
const wantedPartSchema = z.enum(['volumes', 'buckets']);
export type WantedPart = z.infer<typeof wantedPartSchema>;

const lagSchema = z.object({ p50: z.number(), p99: z.number(), max: z.number() });
/** The figures that a part reports of itself. A compromised part may report any numbers. */
const figuresSchema = z.object({ heapUsedBytes: z.number(), loopLag: lagSchema });

/** The reports that a supervisor receives from a part. */
export const reportSchema = z.discriminatedUnion('kind', [
  /** The part runs and waits for its settings. */
  z.object({ kind: z.literal('loaded') }),
  z.object({ kind: z.literal('ready'), facts: z.record(z.string(), z.unknown()) }),
  z.object({ kind: z.literal('failed'), reason: z.string().optional(), message: z.string() }),
  /** `figures`: those of a part that does not publish them itself. */
  z.object({ kind: z.literal('alive'), figures: figuresSchema.optional() }),
  /** The part needs another one, which runs only when it is needed. Repeated until it is there. */
  z.object({ kind: z.literal('wants'), part: wantedPartSchema }),
  /** Whether programs wait for this part if it ends, so that the next process should be loaded already. */
  z.object({ kind: z.literal('standby'), isWanted: z.boolean() }),
  /** The part has carried out a `tell` order, or failed with an error. It runs on until it is told to stop. */
  z.object({ kind: z.literal('told'), what: z.string(), error: z.string().optional() }),
]);
export type Report = z.infer<typeof reportSchema>;
