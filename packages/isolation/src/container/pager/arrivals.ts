import type { ArrivingBlocks } from '../../driver.ts';
import { openArrivalFile } from '../../host/arrival.ts';
import type { BlockArrival } from '../../host/arrival.ts';

/** Which blocks of saved memory have arrived from an object store. */
export interface Arrivals {
  refresh(): void;
  /** As of the last `refresh`. */
  arrivalOf(file: string, index: number): BlockArrival;
  /** Has it fetched before others. Can be repeated. */
  want(file: string, index: number): void;
  close(): void;
}

/** Without `arriving`, and once the file of the arrivals has been removed, everything is there. */
export function createArrivals(arriving: ArrivingBlocks | undefined): Arrivals {
  const file = arriving === undefined ? undefined : openArrivalFile(arriving.path, arriving.count);
  if (arriving === undefined || file === undefined)
    return { refresh: () => undefined, arrivalOf: () => 'there', want: () => undefined, close: () => undefined };
  const wanted = new Set<number>();
  const { first } = arriving;
  /** Undefined: a small file, which came with the list of all files. */
  const blockOf = (name: string, index: number): number | undefined => {
    const start = Object.hasOwn(first, name) ? first[name] : undefined;
    return start === undefined ? undefined : start + index;
  };
  return {
    refresh: () => file.refresh(),
    arrivalOf(name, index) {
      const block = blockOf(name, index);
      return block === undefined ? 'there' : file.arrivalOf(block);
    },
    want(name, index) {
      const block = blockOf(name, index);
      if (block === undefined || wanted.has(block)) return;
      wanted.add(block);
      file.want(block);
    },
    close: () => file.close(),
  };
}
