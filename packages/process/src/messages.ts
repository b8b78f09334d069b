import { z } from 'zod';

/** Descriptor of the socket between a supervisor and a part, in the part: the first after standard streams. */
export const channelFd = 3;

/** What a supervisor tells a process of its own. */
export const orderSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('start'), settings: z.record(z.string(), z.unknown()) }),
  z.object({ kind: z.literal('stop'), keepSandboxes: z.boolean() }),
  /** Answered at once by whatever can still run: `alive`. */
  z.object({ kind: z.literal('alive') }),
  /** Anything else that the part understands. */
  z.object({ kind: z.literal('tell'), what: z.string(), value: z.unknown().optional() }),
]);
export type Order = z.infer<typeof orderSchema>;

const lagSchema = z.object({ p50: z.number(), p99: z.number(), max: z.number() });
/** What a part tells of itself; it may be any number, if the part was taken over. */
const figuresSchema = z.object({ heapUsedBytes: z.number(), loopLag: lagSchema });

/** What it hears from it. */
export const reportSchema = z.discriminatedUnion('kind', [
  /** It runs, and waits for its settings. */
  z.object({ kind: z.literal('loaded') }),
  z.object({ kind: z.literal('ready'), facts: z.record(z.string(), z.unknown()) }),
  z.object({ kind: z.literal('failed'), reason: z.string().optional(), message: z.string() }),
  /** Figures of a part that does not show them itself. */
  z.object({ kind: z.literal('alive'), figures: figuresSchema.optional() }),
  /** Sandboxes have ended as they were told to; the process goes on until it is told to stop. */
  z.object({ kind: z.literal('told'), what: z.string(), error: z.string().optional() }),
]);
export type Report = z.infer<typeof reportSchema>;
