/** Ids of each sandbox, on the disk from 0 on, on the host from its `idBase` on. */
export const idCount = 65_536;
