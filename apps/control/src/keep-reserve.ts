import type { Logger } from '@soulbox/base';
import type { DiskReserve } from '@soulbox/storage';

/** When the disk has room again, the reserve is restored within this time. Milliseconds. */
const everyMs = 2000;

/**
 * Keeps the reserve as complete as the disk allows. Logs when the server is restricted and when it works fully again.
 */
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
