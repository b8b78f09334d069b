// POSIX: sys/stat.h
const typeMask = 0o170000;
const typeLetters: Readonly<Record<number, string>> = {
  0o040000: 'd',
  0o120000: 'L',
  0o060000: 'D',
  0o020000: 'Dc',
  0o010000: 'p',
  0o140000: 'S',
};

/**
 * Formats a mode like Go, because E2B sends that form: letters for type, setuid, setgid and sticky (`-` if there are
 * none), then nine for the permissions. Go puts the `c` of a character device after `u` and `g`.
 */
export function permissionsText(mode: number): string {
  const type = typeLetters[mode & typeMask] ?? '';
  const setuid = (mode & 0o4000) === 0 ? '' : 'u';
  const setgid = (mode & 0o2000) === 0 ? '' : 'g';
  const sticky = (mode & 0o1000) === 0 ? '' : 't';
  const flags = type === 'Dc' ? `D${setuid}${setgid}c${sticky}` : `${type}${setuid}${setgid}${sticky}`;
  const letters = Array.from('rwxrwxrwx', (letter, index) => ((mode & (0o400 >> index)) === 0 ? '-' : letter));
  return (flags === '' ? '-' : flags) + letters.join('');
}
