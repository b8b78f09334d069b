/**
 * The isolations that a sandbox can be created with, the strongest last. They are the names of the drivers in
 * packages/isolation.
 */
export const isolations = ['container', 'gvisor'] as const;
export type Isolation = (typeof isolations)[number];

/** The default of a server. A host that lacks it is not ready. */
export const defaultIsolation = 'container' satisfies Isolation;

export const isIsolation = (text: string): text is Isolation => (isolations as readonly string[]).includes(text);

/**
 * The metadata key by which clients without an `isolation` field request one. The header `headers.isolation` is the
 * alternative.
 */
export const isolationMetadataKey = 'soulbox.isolation';
