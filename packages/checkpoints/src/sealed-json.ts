import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { writeFileAtomic } from '@soulbox/base';

/** Enough for the digests of some 100 GiB. */
const maxBytes = 16 * 1024 * 1024;
const form = /^\{"sha256":"([0-9a-f]{64})","content":(.+)\}\n$/s;

/** Writes JSON together with its SHA-256, atomically and durably. */
export async function writeSealedJson(path: string, content: unknown): Promise<void> {
  const text = JSON.stringify(content);
  await writeFileAtomic(path, `{"sha256":"${hash('sha256', text)}","content":${text}}\n`, { durable: true });
}

/** Reads a file of `writeSealedJson`. Undefined when a byte of it is missing, added or altered. */
export async function readSealedJson(path: string): Promise<unknown> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if ((await file.stat()).size > maxBytes) return undefined;
    const [, digest, text] = form.exec(await file.readFile('utf8')) ?? [];
    return text !== undefined && hash('sha256', text) === digest ? JSON.parse(text) : undefined;
  } finally {
    await file.close();
  }
}
