import type { ApiContext } from '../context.ts';
import { gauge } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** Figures for alerts before the disk is full, and for the operator while it is full. */
export function diskFamilies({ reserve }: ApiContext): MetricFamily[] {
  const { bytes, isShort } = reserve.room();
  return [
    gauge(
      'soulbox_disk_room_bytes',
      "Free bytes on the disk of the data folder, not counting the server's reserve.",
      bytes,
    ),
    gauge('soulbox_disk_reserve_bytes', 'Bytes reserved for kills and deletes.', reserve.heldBytes()),
    gauge('soulbox_disk_full', '1 while the disk is full and only kills and deletes work.', isShort ? 1 : 0),
  ];
}
