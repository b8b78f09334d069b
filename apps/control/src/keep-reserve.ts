import type { Logger } from '@soulbox/base';
import type { DiskReserve } from '@soulbox/storage';

/** A disk that has room again has its reserve back within this. Milliseconds. */
const everyMs = 2000;

/** Keeps the reserve as whole as the disk allows, and tells the log when the server can do less or everything again. */
export function keepReserve(reserve: DiskReserve, logger: Logger): Disposable {
  let wasShort = false;
  const look = async (): Promise<void> => {
    await reserve.restore();
    const { isShort, bytes } = reserve.room();
    if (isShort === wasShort) return;
    wasShort = isShort;
    const facts = { roomBytes: bytes, reserveBytes: reserve.heldBytes() };
    if (isShort) logger.error(facts, 'disk full: only kills and deletes work until there is space');
    else logger.info(facts, 'disk has space again');
  };
  const watch = (): void => {
    look().catch((err: unknown) => {
      logger.error({ err }, 'free disk space could not be read');
    });
  };
  watch();
  const timer = setInterval(watch, everyMs);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}
