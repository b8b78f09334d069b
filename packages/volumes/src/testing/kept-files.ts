/** Files whose contents never change, of sizes that are blocks of the block store. */
export const keptNames: readonly string[] = Array.from({ length: 6 }, (_, index) => `kept-${index}`);

export const keptContent = (name: string): Buffer => Buffer.alloc(60 * 1024 + name.length, `${name}.`);
