/** Whether the text is an absolute folder inside a sandbox, ends with a slash, and leads nowhere else. */
export function isFilePrefix(text: string): boolean {
  return text.endsWith('/') && isPlain(text.slice(0, -1));
}

/** Whether the path of a file is below the folder. Links inside the sandbox are followed as for every path. */
export function isBelow(path: string, prefix: string): boolean {
  // The folder itself ends with a slash, so it is not plain.
  return path.startsWith(prefix) && isPlain(path);
}

/** No empty segments, no dot segments, no control characters. The root is the empty text. */
function isPlain(path: string): boolean {
  if (path === '') return true;
  const [first, ...segments] = path.split('/');
  return first === '' && segments.every((name) => !['', '.', '..'].includes(name)) && !/\p{Cc}/u.test(path);
}
