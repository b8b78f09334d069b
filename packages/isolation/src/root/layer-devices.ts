import { closeSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import type { LoopDevice } from '@soulbox/linux/loop-devices';
import { attachLoopDevice, openLoopDevice } from '@soulbox/linux/loop-devices';
import { findBackingFile, listLoopsOf } from './loop-devices.ts';

/** The loop devices of layers. All sandboxes over a layer share one, and so its pages in memory. */
export interface LayerDevices {
  /** The caller closes the descriptor. */
  open(image: string): Promise<LoopDevice>;
}

/** More than one host uses at a time. */
const knownMax = 1_000;

export function createLayerDevices(): LayerDevices {
  const known = new Map<string, string>();
  return {
    async open(path) {
      const image = await realpath(path);
      if (known.size > knownMax) known.clear();
      // An earlier server has sandboxes over it.
      if (!known.has(image)) for (const name of await listLoopsOf(image)) known.set(image, name);
      const name = known.get(image);
      const found = name === undefined ? undefined : openIfOf(name, image);
      if (found !== undefined) return found;
      const attached = attachLoopDevice(image, { isReadOnly: true });
      known.set(image, attached.name);
      return attached;
    },
  };
}

/** The device with this file, opened. An open device keeps its file, so the file is looked at afterwards. */
function openIfOf(name: string, image: string): LoopDevice | undefined {
  try {
    const device = openLoopDevice(name);
    if (findBackingFile(device.name) === image) return device;
    closeSync(device.descriptor);
  } catch {
    // Somebody has removed the device.
  }
  return undefined;
}
