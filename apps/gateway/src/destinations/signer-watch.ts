import type { Logger } from '@soulbox/base';
import type { SignedUrlChecker, SignerOfUrl } from '@soulbox/contract/signed-url-service';

/** How often the control plane is asked about the signers of open requests. */
const lookEveryMs = 1000;

/** Notices that a key behind the signed URL of an open request has ended. Without open requests it does nothing. */
export interface SignerWatch {
  /** Calls `end` once if a key ends before the watch is disposed. */
  watch(signer: SignerOfUrl, end: () => void): Disposable;
}

interface Watched {
  readonly signer: SignerOfUrl;
  readonly ends: Set<() => void>;
}

export function createSignerWatch(checker: Pick<SignedUrlChecker, 'findEnded'>, logger: Logger): SignerWatch {
  const watched = new Map<string, Watched>();
  let isLooking = false;

  const look = async (): Promise<void> => {
    const ended = await checker.findEnded([...watched.values()].map(({ signer }) => signer));
    for (const signer of ended) for (const end of watched.get(nameOf(signer))?.ends ?? []) end();
  };
  const lookSoon = (): void => {
    isLooking = true;
    const timer = setTimeout(() => {
      void look()
        // While the control plane is away, requests continue. The next look decides.
        .catch((err: unknown) => logger.debug({ err }, 'signers of open requests could not be checked'))
        .finally(() => {
          isLooking = false;
          if (watched.size > 0) lookSoon();
        });
    }, lookEveryMs);
    timer.unref();
  };

  return {
    watch(signer, end) {
      const name = nameOf(signer);
      const entry = watched.get(name) ?? { signer, ends: new Set() };
      entry.ends.add(end);
      watched.set(name, entry);
      if (!isLooking) lookSoon();
      return {
        [Symbol.dispose]() {
          entry.ends.delete(end);
          if (entry.ends.size === 0 && watched.get(name) === entry) watched.delete(name);
        },
      };
    },
  };
}

const nameOf = ({ keyId, signerId }: SignerOfUrl): string => `${keyId} ${signerId}`;
