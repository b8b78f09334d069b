import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/** Limit of a request body, which holds code and variables and is kept in memory as a whole. */
const maxBodyBytes = 16 * 1024 * 1024;
/**
 * A longer body is read to its end and discarded, up to this limit: a client that is disconnected while it sends never
 * sees the response.
 */
const maxDrainedBytes = 4 * maxBodyBytes;

export type Json = Readonly<Record<string, unknown>>;

/** The body as an object. Throws 413 and 400. */
export async function readJson(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxDrainedBytes) break;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  if (size > maxBodyBytes) throw new Refusal(413, 'The request has more than 16 MiB');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refusal(400, 'The request is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal(400, 'The request is not a JSON object');
  return value as Json;
}

/** A string, or undefined when absent. Clients also send null. */
export function readText(body: Json, name: string): string | undefined {
  const value = body[name] ?? undefined;
  if (value !== undefined && typeof value !== 'string') throw new Refusal(400, `${name} is not a text`);
  return value;
}

/** Names and strings; empty when absent. */
export function readTexts(body: Json, name: string): Readonly<Record<string, string>> {
  const value = body[name] ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new Refusal(400, `${name} is not an object`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new Refusal(400, `${name}.${key} is not a text`);
    if (key === '' || /[=\0]/.test(key) || text.includes('\0'))
      throw new Refusal(400, `${name} has a name or value that no environment can hold`);
  }
  return value as Readonly<Record<string, string>>;
}
