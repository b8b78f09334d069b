/** The isolations that a sandbox can be created with, strongest last: the names of the drivers of packages/isolation. */
export const isolations = ['container', 'gvisor'] as const;
export type Isolation = (typeof isolations)[number];

/** What a server uses unless it is configured otherwise. A host that lacks it is not ready. */
export const defaultIsolation = 'container' satisfies Isolation;

export const isIsolation = (text: string): text is Isolation => (isolations as readonly string[]).includes(text);

/** Where clients that know nothing of `isolation` say it: in a sandbox's metadata, or in the header `headers.isolation`. */
export const isolationMetadataKey = 'soulbox.isolation';
