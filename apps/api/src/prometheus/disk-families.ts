import type { ApiContext } from '../context.ts';
import { gauge } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** Figures for alerts before the disk is full, and for the operator while it is full. */
export function diskFamilies({ reserve }: ApiContext): MetricFamily[] {
  const { bytes, isShort } = reserve.room();
  return [
    gauge('soulbox_disk_room_bytes', "Free bytes of the data folder's disk, the server's reserve left out.", bytes),
    gauge('soulbox_disk_reserve_bytes', 'Bytes that are set aside for kills and deletes.', reserve.heldBytes()),
    gauge('soulbox_disk_full', '1 while only kills and deletes work for want of room.', isShort ? 1 : 0),
  ];
}
