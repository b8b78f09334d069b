import { bundleFromMember } from '../json-text.ts';
import type { Output } from '../kernel.ts';

/** What we ask of the child (child/descriptors.ts). `interrupt` may come while another is answered, and goes with a byte to its other thread. */
export type Request =
  | { readonly type: 'execute'; readonly code: string; readonly isTypescript: boolean; readonly mark: string }
  | { readonly type: 'variables'; readonly variables: Readonly<Record<string, string | null>> }
  | { readonly type: 'interrupt' };

/** What the child says. `done` answers `execute` and `variables`; `mark` then stands in both outputs too. */
export type Reply =
  | { readonly type: 'ready' }
  | { readonly type: 'done' }
  | { readonly type: 'result'; readonly isMain: boolean; readonly bundle: DisplayBundle }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string };

/** MIME types and what stands for them. */
export type DisplayBundle = Readonly<Record<string, unknown>>;

/** A reply whose values stay as the child wrote them. */
export type Heard = Exclude<Reply, { type: 'result' }> | (Output & { readonly type: 'result' });

/** The child runs hostile code, which can write here too; it is the same tenant's, so a nonsense line is only dropped. */
export function parseReply(line: string): Heard | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
    const reply = value as Reply;
    if (reply.type !== 'result') return reply;
    const isMain: unknown = reply.isMain;
    return { type: 'result', isMain: isMain === true, bundle: bundleFromMember(line, 'bundle') };
  } catch {
    return undefined;
  }
}
