/** The walls that a sandbox can be asked for, strongest last. Names of drivers. */
export const isolations = ['container', 'gvisor'] as const;
export type Isolation = (typeof isolations)[number];

export const isIsolation = (text: string): text is Isolation => (isolations as readonly string[]).includes(text);

/** Where clients that know nothing of `isolation` say it: in a sandbox's metadata, or in the header `headers.isolation`. */
export const isolationMetadataKey = 'soulbox.isolation';
