import { createHash } from 'node:crypto';
import { randomId } from '@soulbox/base';
import { attempt, orAborted } from './attempts.ts';
import type { AttemptOptions } from './attempts.ts';
import type { PutOptions, WrittenObject } from './object-store.ts';
import { splitIntoParts } from './split-into-parts.ts';
import type { StoreDriver, Upload, Write, Written } from './store-driver.ts';
import { StoreFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

type Content = Uint8Array | AsyncIterable<Uint8Array>;

/** `key` contains the prefix. Throws a StoreFault, what the content throws, or the reason of the signal. */
export async function putObject(
  driver: StoreDriver,
  limits: StoreLimits,
  { key, content, options }: { readonly key: string; readonly content: Content; readonly options: PutOptions },
): Promise<Omit<WrittenObject, 'key'>> {
  const write: Write = { condition: options.condition, writeId: randomId(16) };
  // Aborted also by a failed part, which ends the others.
  const ended = new AbortController();
  const abort = (): void => ended.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', abort);
  const source = verified(asStream(content), options, ended.signal);
  const parts = splitIntoParts(source, choosePartBytes(driver, limits, options.sizeBytes));
  try {
    options.signal?.throwIfAborted();
    const first = await parts.next();
    if (first.done === true) return await putWhole(driver, limits, { key, write, bytes: Buffer.alloc(0), ended });
    const second = await parts.next();
    if (second.done === true) return await putWhole(driver, limits, { key, write, bytes: first.value, ended });
    return await putParts(driver, limits, { key, write, begun: [first.value, second.value], parts, ended });
  } catch (thrown) {
    ended.abort(thrown);
    options.signal?.throwIfAborted();
    throw thrown;
  } finally {
    options.signal?.removeEventListener('abort', abort);
    // A source that never ends must not hold up the caller.
    void parts.return(undefined).catch(() => undefined);
  }
}

async function* asStream(content: Content): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) yield content;
  else yield* content;
}

/** Throws at the end of a source that is not what was announced. */
async function* verified(
  source: AsyncGenerator<Uint8Array>,
  { sizeBytes, sha256 }: PutOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = sha256 === undefined ? undefined : createHash('sha256');
  let received = 0;
  for (;;) {
    const next = await orAborted(source.next(), signal);
    if (next.done === true) break;
    const chunk = next.value;
    received += chunk.length;
    if (sizeBytes !== undefined && received > sizeBytes) break;
    hash?.update(chunk);
    yield chunk;
  }
  if (sizeBytes !== undefined && received !== sizeBytes)
    throw new StoreFault('storage_damaged', `The content has ${received} bytes or more, not ${sizeBytes}.`);
  if (hash !== undefined && hash.digest('hex') !== sha256)
    throw new StoreFault('storage_damaged', 'The content does not have the given SHA-256 digest.');
}

const partStep = 1024 * 1024;

/** Stores limit the number of parts, and some want all to have one size. */
function choosePartBytes(driver: StoreDriver, limits: StoreLimits, sizeBytes: number | undefined): number {
  const needed = Math.ceil((sizeBytes ?? 0) / driver.parts.maxCount / partStep) * partStep;
  if (needed > driver.parts.maxBytes)
    throw new StoreFault('limit_exceeded', `Objects of ${sizeBytes} bytes are larger than this store accepts.`);
  return Math.max(limits.partBytes, needed);
}

interface WholePut {
  readonly key: string;
  readonly write: Write;
  readonly bytes: Uint8Array;
  readonly ended: AbortController;
}

async function putWhole(driver: StoreDriver, limits: StoreLimits, { key, write, bytes, ended }: WholePut) {
  const options = { signal: ended.signal, sentBytes: bytes.length };
  const { version } = await attempt(limits, options, async (signal, number) =>
    number === 1
      ? await driver.putWhole(key, bytes, write, signal)
      : await orWritten(driver, { key, write, signal }, () => driver.putWhole(key, bytes, write, signal)),
  );
  return { sizeBytes: bytes.length, version };
}

/**
 * The response to the attempt before may have been lost. A failure of this one can then mean that the first one has
 * succeeded: the object tells who wrote it.
 */
async function orWritten(
  driver: StoreDriver,
  { key, write, signal }: { readonly key: string; readonly write: Write; readonly signal: AbortSignal },
  again: () => Promise<Written>,
): Promise<Written> {
  try {
    return await again();
  } catch (thrown) {
    const isDoubtful =
      thrown instanceof StoreFault && ['storage_precondition_failed', 'storage_not_found'].includes(thrown.reason);
    const found = isDoubtful ? await driver.stat(key, signal) : undefined;
    if (found !== undefined && found.writeId === write.writeId) return found;
    throw thrown;
  }
}

interface PartsPut extends Omit<WholePut, 'bytes'> {
  readonly begun: readonly Uint8Array[];
  readonly parts: AsyncGenerator<Uint8Array>;
}

async function putParts(driver: StoreDriver, limits: StoreLimits, { key, write, begun, parts, ended }: PartsPut) {
  const options: AttemptOptions = { signal: ended.signal, faults: { left: limits.uploadFaults } };
  const id = await attempt(limits, options, (signal) => driver.startUpload(key, write, signal));
  const upload = { key, id };
  try {
    const sent = await sendParts(driver, limits, { upload, parts: joined(begun, parts), options, ended });
    const finish = { ...write, ...sent };
    const { version } = await attempt(limits, options, async (signal, number) =>
      number === 1
        ? await driver.finishUpload(upload, finish, signal)
        : await orWritten(driver, { key, write, signal }, () => driver.finishUpload(upload, finish, signal)),
    );
    return { sizeBytes: sent.sizeBytes, version };
  } catch (thrown) {
    ended.abort(thrown);
    await dropUpload(driver, limits, upload);
    throw thrown;
  }
}

async function* joined(begun: readonly Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* begun;
  yield* rest;
}

interface PartsToSend {
  readonly upload: Upload;
  readonly parts: AsyncIterable<Uint8Array>;
  readonly options: AttemptOptions;
  readonly ended: AbortController;
}

/** At most `concurrency` parts are being sent, while the next one is read. */
async function sendParts(driver: StoreDriver, limits: StoreLimits, { upload, parts, options, ended }: PartsToSend) {
  const tags: string[] = [];
  const sending = new Set<Promise<void>>();
  let count = 0;
  let sizeBytes = 0;
  try {
    for await (const bytes of parts) {
      if (sending.size >= driver.parts.concurrency) await Promise.race(sending);
      const part = { number: ++count, offset: sizeBytes, bytes };
      if (count > driver.parts.maxCount)
        throw new StoreFault('limit_exceeded', `An object of unknown size can have ${sizeBytes} bytes. Give its size.`);
      sizeBytes += bytes.length;
      const task = attempt(limits, { ...options, sentBytes: bytes.length }, async (signal) => {
        tags[part.number - 1] = await driver.putPart(upload, part, signal);
      }).finally(() => sending.delete(task));
      // Ends the other parts and the wait for the source.
      task.catch((thrown: unknown) => ended.abort(thrown));
      sending.add(task);
    }
    await Promise.all(sending);
  } finally {
    await Promise.allSettled(sending);
  }
  return { tags, sizeBytes };
}

/** The caller has a more important error. Stores remove unfinished uploads by their own rules in any case. */
async function dropUpload(driver: StoreDriver, limits: StoreLimits, upload: Upload): Promise<void> {
  const once = { ...limits, retries: { ...limits.retries, attempts: 2, budgetMs: 5000 }, attemptMs: 5000 };
  await attempt(once, { signal: undefined }, (signal) => driver.dropUpload(upload, signal)).catch(() => undefined);
}
