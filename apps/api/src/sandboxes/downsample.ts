/** At most `max` of the entries, evenly spread and always including the newest (last). */
export function downsample<T>(entries: readonly T[], max: number): readonly T[] {
  if (entries.length <= max) return entries;
  const step = Math.ceil(entries.length / max);
  const offset = (entries.length - 1) % step;
  return entries.filter((_, index) => index % step === offset);
}
