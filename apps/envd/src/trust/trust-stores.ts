import { javaStoreFromPem } from './java-store.ts';
import { readInside, writeInside } from './write-inside.ts';

/** Our own folder, for programs that are told by a variable. */
const own = '/etc/soulbox-egress';
const certificateFile = `${own}/ca.pem`;
const bundleFile = `${own}/bundle.pem`;
const javaFile = `${own}/cacerts.jks`;

/** Bundles of Debian and Alpine, Fedora, SUSE, and of programs that look for OpenSSL's default. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
/** `update-ca-certificates` and `update-ca-trust` make the bundles again from these. */
const sources = [
  '/usr/local/share/ca-certificates/soulbox-egress.crt',
  '/etc/pki/ca-trust/source/anchors/soulbox-egress.pem',
];
const begin = '# SoulBox egress: the authority of this sandbox';
const end = '# SoulBox egress: end';

/** What `POST /soulbox/trust` has. */
export interface TrustedAuthority {
  /** PEM. */
  readonly certificate: string;
  /** OpenSSL's hash of its subject, the name of its file in a folder of certificates. */
  readonly subjectHash: string;
  /** Used if the sandbox has no bundle of its own. Empty: none was given. */
  readonly roots: string;
}

export interface TrustResult {
  /** For every process that starts from now on. */
  readonly variables: Readonly<Record<string, string>>;
  /** The sandbox has no bundle, and none was given: variables that replace a program's own list are not set. */
  readonly needsRoots: boolean;
}

/** Adds the authority to all trust stores. Repeating it with another authority replaces the earlier one. */
export async function trustAuthority({ certificate, subjectHash, roots }: TrustedAuthority): Promise<TrustResult> {
  for (const path of sources) await writeInside(path, certificate);
  await writeInside(`/etc/ssl/certs/${subjectHash}.0`, certificate);
  const system = await extendBundles(certificate);
  const base = system ?? roots;
  await writeInside(certificateFile, certificate, { makes: true });
  const additive = { NODE_EXTRA_CA_CERTS: certificateFile, DENO_CERT: certificateFile };
  if (base === '') return { variables: additive, needsRoots: true };
  const bundle = withAuthority(base, certificate);
  await writeInside(bundleFile, bundle, { makes: true });
  await writeInside(javaFile, javaStoreFromPem(bundle), { makes: true });
  return {
    needsRoots: false,
    variables: {
      ...additive,
      SSL_CERT_FILE: bundleFile,
      REQUESTS_CA_BUNDLE: bundleFile,
      CURL_CA_BUNDLE: bundleFile,
      GIT_SSL_CAINFO: bundleFile,
      PIP_CERT: bundleFile,
      AWS_CA_BUNDLE: bundleFile,
      JAVA_TOOL_OPTIONS: `-Djavax.net.ssl.trustStore=${javaFile} -Djavax.net.ssl.trustStoreType=JKS`,
    },
  };
}

/** The content of the first bundle, without the authority. Undefined if the sandbox has none. */
async function extendBundles(certificate: string): Promise<string | undefined> {
  let first: string | undefined;
  for (const path of systemBundles) {
    const present = await readInside(path);
    if (present?.includes('-----BEGIN CERTIFICATE-----') !== true) continue;
    first ??= withoutAuthority(present);
    const wanted = withAuthority(present, certificate);
    if (wanted !== present) await writeInside(path, wanted);
  }
  return first;
}

function withAuthority(bundle: string, certificate: string): string {
  return `${withoutAuthority(bundle)}${begin}\n${certificate.trim()}\n${end}\n`;
}

function withoutAuthority(bundle: string): string {
  const from = bundle.indexOf(begin);
  const to = bundle.indexOf(end, from);
  const rest = from < 0 || to < 0 ? bundle : bundle.slice(0, from) + bundle.slice(to + end.length).replace(/^\n/, '');
  return rest === '' || rest.endsWith('\n') ? rest : `${rest}\n`;
}
