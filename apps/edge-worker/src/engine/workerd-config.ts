import { basename } from 'node:path';
import type { FunctionSettings } from '@soulbox/contract/functions';
import type { EnginePaths } from './engine.ts';

/**
 * A Worker in front of the function. An error of the code becomes a response that says so, instead of workerd's bare
 * text. Upgrades and streams pass through.
 */
const frontSource = `export default {
  async fetch(request, env) {
    try {
      return await env.FUNCTION.fetch(request);
    } catch (error) {
      return Response.json({ code: 500, message: 'The function threw: ' + String(error && error.message || error) }, { status: 500 });
    }
  },
};`;

const pingSource = `export default { fetch: () => new Response(null, { status: 204 }) };`;
const ownDate = '2026-01-01';

/**
 * Quotes text for Cap'n Proto's schema language (capnproto.org/language.html); all bytes other than plain ASCII are
 * escaped.
 */
export function quoted(text: string): string {
  let result = '"';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    result += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `${result}"`;
}

/**
 * Without the last two, V8 first collects when an isolate has some 100 MB of garbage: a Worker that only answers "hello"
 * grows by 300 to 400 MB at 10,000 requests per second, and by 95 MB with them (workerd 1.20261120).
 */
const v8Flags = (memoryMb: number): string[] => [
  `--max-old-space-size=${memoryMb}`,
  '--initial-old-space-size=8',
  '--max-semi-space-size=4',
];

/** Configuration of a workerd that serves one function (workerd.capnp of its npm package). */
export function workerdConfig(settings: FunctionSettings, paths: EnginePaths, sourceFile: string): string {
  const kv = [...paths.kv].map(([binding, path], index) => ({ binding, path, service: `kv${index}` }));
  const bindings = [
    ...Object.entries(settings.variables).map(([name, value]) => `(name = ${quoted(name)}, text = ${quoted(value)})`),
    ...kv.map(({ binding, service }) => `(name = ${quoted(binding)}, kvNamespace = ${quoted(service)})`),
  ];
  const services = [
    '(name = "main", worker = .main)',
    `(name = "front", worker = (modules = [(name = "front.js", esModule = ${quoted(frontSource)})], compatibilityDate = "${ownDate}", bindings = [(name = "FUNCTION", service = "main")]))`,
    `(name = "ping", worker = (modules = [(name = "ping.js", esModule = ${quoted(pingSource)})], compatibilityDate = "${ownDate}"))`,
    // The sandbox's network decides which hosts are reachable. This setting keeps the code from the supervisor in the
    // same sandbox.
    '(name = "outside", network = (allow = ["public"], tlsOptions = (trustBrowserCas = true)))',
    ...kv.map(
      ({ path, service }) => `(name = "${service}", external = (address = ${quoted(`unix:${path}`)}, http = ()))`,
    ),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.join(',\n    ')}
  ],
  sockets = [
    (name = "requests", address = ${quoted(`unix:${paths.requests}`)}, http = (forwardedProtoHeader = "X-Forwarded-Proto"), service = "front"),
    (name = "ping", address = ${quoted(`unix:${paths.ping}`)}, http = (), service = "ping")
  ],
  structuredLogging = true,
  v8Flags = [${v8Flags(settings.memoryMb).map(quoted).join(', ')}]
);
const main :Workerd.Worker = (
  modules = [(name = "function.js", esModule = embed ${quoted(basename(sourceFile))})],
  compatibilityDate = ${quoted(settings.compatibilityDate)},
  compatibilityFlags = [${settings.compatibilityFlags.map(quoted).join(', ')}],
  bindings = [${bindings.join(', ')}],
  globalOutbound = "outside"
);
`;
}
