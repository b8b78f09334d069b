/** Number of ids of each sandbox. On the disk they begin at 0, on the host at its `idBase`. */
export const idCount = 65_536;
