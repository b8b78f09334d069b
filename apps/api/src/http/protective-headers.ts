/**
 * Names, logs and metadata in responses come from tenants, and some responses contain tokens: a browser must not treat
 * them as a page, show them in a frame, store them, or give them to another origin. Pages replace some of these.
 */
export const protectiveHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;
