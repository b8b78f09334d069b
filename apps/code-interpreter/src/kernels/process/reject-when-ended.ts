import { KernelEnded } from '../kernel.ts';

/** A promise for `Promise.race`: it never resolves and rejects with KernelEnded when the process ends. */
export function rejectWhenEnded(ended: Promise<string>): Promise<never> {
  const gone = ended.then((how) => {
    throw new KernelEnded(how);
  });
  gone.catch(() => undefined);
  return gone;
}
