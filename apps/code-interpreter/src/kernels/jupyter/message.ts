import { randomUUID } from 'node:crypto';

/** A message of the Jupyter protocol, version 5.3 (jupyter-client.readthedocs.io/en/stable/messaging.html). */
export interface JupyterMessage {
  readonly type: string;
  /** The id of the request that caused it. */
  readonly parentId: string | undefined;
  readonly content: Readonly<Record<string, unknown>>;
  /** The content as the kernel wrote it. */
  readonly contentText: string;
}

const delimiter = '<IDS|MSG>';
const session = randomUUID();

/**
 * The frames of a request. The kernel's connection file has an empty key, so messages are not signed: the sockets are
 * files in a private folder.
 */
export function encodeRequest(id: string, type: string, content: object): Buffer[] {
  const header = {
    msg_id: id,
    msg_type: type,
    session,
    username: 'user',
    date: new Date().toISOString(),
    version: '5.3',
  };
  const parts = [header, {}, {}, content].map((part) => Buffer.from(JSON.stringify(part)));
  return [Buffer.from(delimiter), Buffer.alloc(0), ...parts];
}

/** Undefined for frames that are not a message. */
export function decodeMessage(frames: readonly Buffer[]): JupyterMessage | undefined {
  const start = frames.findIndex((frame) => frame.toString('latin1') === delimiter);
  const [, header, parent, , content] = frames.slice(start + 1).map((frame) => frame);
  if (start < 0 || header === undefined || parent === undefined || content === undefined) return undefined;
  try {
    const type = asRecord(JSON.parse(header.toString('utf8')))['msg_type'];
    const parentId = asRecord(JSON.parse(parent.toString('utf8')))['msg_id'];
    if (typeof type !== 'string') return undefined;
    const contentText = content.toString('utf8');
    return {
      type,
      parentId: typeof parentId === 'string' ? parentId : undefined,
      content: asRecord(JSON.parse(contentText)),
      contentText,
    };
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
