import { bundleFromMember } from '../json-text.ts';
import type { Output } from '../kernel.ts';

/**
 * Requests to the child (child/descriptors.ts). `interrupt` may be sent while another request is being answered. A byte
 * to the child's other thread accompanies it.
 */
export type Request =
  | { readonly type: 'execute'; readonly code: string; readonly isTypescript: boolean; readonly mark: string }
  | { readonly type: 'variables'; readonly variables: Readonly<Record<string, string | null>> }
  /** `count`: how many there have been since the child's start, with this one. */
  | { readonly type: 'interrupt'; readonly count: number };

/**
 * Replies of the child. `done` answers `execute` and `variables`. After `execute`, both outputs also contain `mark`.
 */
export type Reply =
  | { readonly type: 'ready' }
  | { readonly type: 'done' }
  | { readonly type: 'result'; readonly isMain: boolean; readonly bundle: DisplayBundle }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string };

/** MIME types and their representations. */
export type DisplayBundle = Readonly<Record<string, unknown>>;

/** A reply with its values as the child wrote them. */
export type Heard = Exclude<Reply, { type: 'result' }> | (Output & { readonly type: 'result' });

/**
 * The child runs hostile code, which can write here too. It belongs to the same tenant, so an invalid line is only
 * dropped.
 */
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
