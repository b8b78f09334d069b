import { phase } from '@soulbox/base';
import type { VolumeOfSandbox } from '../../registry/record.ts';
import type { RunningSandbox } from '../../registry/table.ts';
import type { ShortChain } from '../layers/shorten-chain.ts';

/** What belongs to the moment of the memory besides the disk: copies of volumes. */
export type AtMoment = (volumes: readonly VolumeOfSandbox[]) => Promise<void>;

/** How the source of copies is saved while it runs. */
export interface SaveRunning {
  readonly chain: ShortChain;
  readonly atMoment: AtMoment;
}

/** The sandbox is frozen, and its memory is saved. */
export async function takeMoment({ record }: RunningSandbox, atMoment: AtMoment): Promise<void> {
  if (record.volumes.length > 0) await phase('volumes', async () => await atMoment(record.volumes));
}
