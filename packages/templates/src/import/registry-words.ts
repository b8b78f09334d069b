/**
 * The meaning of a registry's failure, by skopeo's message. That message repeats the registry's response, and the
 * response can contain data from elsewhere: from another host that it redirected us to, or from our own network. So no
 * part of it is passed on.
 */
const meanings: readonly (readonly [RegExp, string])[] = [
  [
    /address not open to tenants/i,
    'it has a private, local or reserved address. The operator of the server can allow the host with SOULBOX_PRIVATE_REGISTRIES.',
  ],
  [
    /manifest unknown|name unknown|repository name not known/i,
    'the registry does not have this image or tag (manifest unknown).',
  ],
  [
    /server gave HTTP response to HTTPS client/i,
    'the registry uses plain HTTP. The operator can allow it with SOULBOX_INSECURE_REGISTRIES.',
  ],
  [/x509:|certificate/i, 'the certificate of the registry is not trusted.'],
  [/no image found in (?:manifest list|image index)/i, 'the registry has the image for other architectures only.'],
  [/too ?many ?requests|\b429\b/i, 'the registry received too many requests. Retry later.'],
  [
    /unauthorized|authentication required|access denied|access to the resource is denied|invalid username\/password|\b40[13]\b/i,
    'the registry denied access (unauthorized): the credentials are missing or wrong, or the image does not exist.',
  ],
  [/\b404\b|not found/i, 'the registry does not have this image or tag.'],
  [
    /connection refused|connection reset|no such host|host cannot be reached|\bEOF\b|time-?out|deadline exceeded|unreachable|\b50[234]\b/i,
    'the registry cannot be reached.',
  ],
];

const unknown = 'the registry returned an invalid response, or the image is damaged. The server log has the details.';

export function explainRegistry(words: string): string {
  return meanings.find(([form]) => form.test(words))?.[1] ?? unknown;
}
