import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { findImageDigest, importImage } from '@soulbox/templates';
import { createReach } from '@soulbox/network/outside';
import type { OutsidePolicy } from '@soulbox/network/outside';
import type { RegistryNetwork, Template, TemplateStore } from '@soulbox/templates';
import { whileRoom } from '../../disk-budget/host-work.ts';
import type { HostRoom } from '../../disk-budget/host-work.ts';
import type { BuildBase } from '../build-spec.ts';
import type { LayerCache } from '../cache/layer-cache.ts';
import { checkRegistry } from './check-registry.ts';
import { isInsecure, isKnown } from './known-registries.ts';
import type { KnownRegistries } from './known-registries.ts';
import { openImageNetwork } from './registry-network.ts';
import type { ImageNetwork } from './registry-network.ts';
import { fullName, parseImageName } from './image-name.ts';
import type { ImageName } from './image-name.ts';
import { registryLogin } from './registry-login.ts';

/** A registry that does not respond within this time is reported as unreachable. */
const digestTimeoutMs = 60_000;

export interface ImageStore extends AsyncDisposable {
  /**
   * The root of an image. It is fetched unless this host has it. The registry is asked in any case, because a tag can
   * move, and because a caller who may not fetch the image must not get it. Throws `image_unavailable`,
   * `limit_exceeded`, and the signal's reason when it aborts.
   */
  get(
    image: Extract<BuildBase, { kind: 'image' }>,
    signal: AbortSignal,
    tell: (line: string) => void,
  ): Promise<Template>;
}

export interface ImageStoreOptions extends KnownRegistries {
  readonly templates: TemplateStore;
  readonly cache: LayerCache;
  readonly outside: OutsidePolicy;
  readonly disks: HostRoom;
  /** URL of the HTTP proxy for registries. Empty: none. */
  readonly registryProxy: string;
  /** For temporary files. Each call removes its own. */
  readonly directory: string;
  readonly logger: Logger;
}

interface Import {
  readonly done: Promise<Template>;
  readonly abort: AbortController;
  waiters: number;
}

export function createImageStore(options: ImageStoreOptions): ImageStore {
  const { templates, cache, directory, logger } = options;
  const imports = new Map<string, Import>();
  const reach = createReach({
    policy: options.outside,
    isKnown: (host, port) => isKnown(options, host, port),
    proxy: options.registryProxy === '' ? undefined : new URL(options.registryProxy),
  });
  let network: Promise<ImageNetwork> | undefined;

  const findImported = async (digest: string): Promise<Template | undefined> => {
    const entry = cache.find(keyOf(digest), 'image');
    return entry === undefined ? undefined : await templates.find(entry.templateId);
  };

  const forget = (digest: string, one: Import): void => {
    if (imports.get(digest) === one) imports.delete(digest);
  };

  const startImport = (name: ImageName, digest: string, access: Access, tell: (line: string) => void): Import => {
    const abort = new AbortController();
    const reference = fullName({ ...name, version: `@${digest}` });
    const work = async (): Promise<Template> => {
      const fetched = { what: 'Fetching the image', signal: abort.signal };
      const template = await whileRoom(options.disks, fetched, async (signal) => {
        return await importImage(templates, reference, digest, { ...access, signal, onProgress: tell, logger });
      });
      await cache.write(keyOf(digest), { kind: 'image', templateId: template.templateId });
      return template;
    };
    const one: Import = { done: work(), abort, waiters: 0 };
    one.done.catch(() => undefined).finally(() => forget(digest, one));
    return one;
  };

  /** Several builds may wait for one import. It is canceled when none waits any more. */
  const waitFor = async (digest: string, one: Import, signal: AbortSignal): Promise<Template> => {
    one.waiters += 1;
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      return await Promise.race([one.done, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      one.waiters -= 1;
      if (one.waiters === 0) {
        forget(digest, one);
        one.abort.abort();
        // When this returns, nothing of the import is left.
        await one.done.catch(() => undefined);
      }
    }
  };

  return {
    async get({ reference, credentials }, signal, tell) {
      const name = parseImageName(reference);
      await checkRegistry(options, options.outside, name.host);
      const access: Access = {
        credentials: await registryLogin(name.host, credentials, reach, signal),
        tlsVerify: !isInsecure(options, name.host),
        network: await (network ??= openImageNetwork(options, reach)),
      };
      await mkdir(directory, { recursive: true, mode: 0o700 });
      try {
        const asking = { ...access, signal, timeoutMs: digestTimeoutMs, logger };
        const digest = await findImageDigest(fullName(name), directory, asking);
        signal.throwIfAborted();
        const known = await findImported(digest);
        if (known !== undefined) return known;
        tell(`fetching ${digest}`);
        const one = imports.get(digest) ?? startImport(name, digest, access, tell);
        imports.set(digest, one);
        const template = await waitFor(digest, one, signal);
        await cache.touch([keyOf(digest)]);
        return template;
      } catch (error) {
        signal.throwIfAborted();
        const explained = explain(error);
        if (explained instanceof SoulBoxError) logger.info({ err: error }, 'an image could not be fetched');
        throw explained;
      }
    },
    async [Symbol.asyncDispose]() {
      await (await network?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}

interface Access {
  readonly credentials: Awaited<ReturnType<typeof registryLogin>>;
  readonly tlsVerify: boolean;
  readonly network: RegistryNetwork;
}

function keyOf(digest: string): string {
  return createHash('sha256')
    .update(JSON.stringify(['image', 1, digest]))
    .digest('hex');
}

/** An image that cannot be imported is an error of the build's author. Faults of the server stay internal errors. */
function explain(error: unknown): unknown {
  if (!(error instanceof SoulBoxError) || error.reason !== 'bad_request') return error;
  return new SoulBoxError('image_unavailable', error.message, { cause: error });
}
