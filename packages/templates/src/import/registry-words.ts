/**
 * What a registry's failure means, by the words of skopeo about it. Those words repeat what the registry answered, and a registry can
 * answer with what stands elsewhere: in another place that it sent us to, or in our own network. So none of them is passed on.
 */
const meanings: readonly (readonly [RegExp, string])[] = [
  [
    /address not open to tenants/i,
    'it leads to a private, local or reserved address. The owner of the server can allow the host: SOULBOX_PRIVATE_REGISTRIES.',
  ],
  [
    /manifest unknown|name unknown|repository name not known/i,
    'the registry has no such image or tag (manifest unknown).',
  ],
  [
    /server gave HTTP response to HTTPS client/i,
    'the registry speaks plain HTTP, which SOULBOX_INSECURE_REGISTRIES allows.',
  ],
  [/x509:|certificate/i, "the registry's certificate is not trusted."],
  [/no image found in (?:manifest list|image index)/i, 'the registry has it for other kinds of machines only.'],
  [/too ?many ?requests|\b429\b/i, 'the registry asks to wait: too many requests.'],
  [
    /unauthorized|authentication required|access denied|access to the resource is denied|invalid username\/password|\b40[13]\b/i,
    'the registry refuses access (unauthorized): the credentials are missing or wrong, or there is no such image.',
  ],
  [/\b404\b|not found/i, 'the registry has no such image or tag.'],
  [
    /connection refused|connection reset|no such host|host cannot be reached|\bEOF\b|time-?out|deadline exceeded|unreachable|\b50[234]\b/i,
    'the registry cannot be reached.',
  ],
];

const unknown =
  "the registry's answer is not that of a registry, or the image is damaged. The server's log has the details.";

export function explainRegistry(words: string): string {
  return meanings.find(([form]) => form.test(words))?.[1] ?? unknown;
}
