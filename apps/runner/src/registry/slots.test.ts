import { describe, expect, it } from 'vitest';
import { createSlots, idBaseOf, lastSlot } from './slots.ts';

describe('slots', () => {
  it('gives every slot of every instance its own uid range below 2^32', () => {
    expect(idBaseOf(0, lastSlot) + 65_535).toBeLessThan(idBaseOf(1, 1));
    expect(idBaseOf(0, 1) + 65_536).toBe(idBaseOf(0, 2));
    expect(idBaseOf(14, lastSlot) + 65_535).toBeLessThan(2 ** 32 - 1);
  });

  it('hands out the lowest free slot, and again after its release', () => {
    const slots = createSlots();
    expect([slots.take(), slots.take(), slots.take()]).toEqual([1, 2, 3]);
    slots.release(2);
    expect(slots.take()).toBe(2);
  });

  it('lets an adopted sandbox claim its slot once', () => {
    const slots = createSlots();
    expect(slots.claim(7)).toBe(true);
    expect(slots.claim(7)).toBe(false);
  });

  it('refuses when all are taken', () => {
    const slots = createSlots();
    for (let n = 0; n < lastSlot; n++) slots.take();
    expect(() => slots.take()).toThrow(`more than ${lastSlot} sandboxes`);
  });
});
