import type { InsideAttempt } from '../../attempt.ts';
import { policed } from './policed.ts';

const inRule = { wall: 'injected' } as const;
/** The host with the secret, or for the control the one whose rule has a value that is no secret. */
const host = `name = P['ruledName'] if P['targetName'] != P['frontName'] else P['plainName']\n`;
const ask = (path: string, more = '', rest = ''): string =>
  `${host}return unmasked(https(P['ruledAddress'], name, request(name, '${path}', ${JSON.stringify(more)}${rest})))`;

/** Ways to get the value of a rule sent back. The stand-in repeats what it got. */
export const interceptionAttempts: readonly InsideAttempt[] = [
  policed('gets the value of a rule back from a host that repeats its headers', ask('/'), inRule),
  ...['header', 'error', 'redirect', 'trailers', 'slow', 'reason', 'early'].map((form) =>
    policed(`gets the value of a rule back (${form})`, ask(`/${form}`, form === 'trailers' ? 'TE: trailers\r\n' : ''), {
      ...inRule,
      ...(form === 'early' ? { control: { none: 'interim responses are not passed on' } } : {}),
    }),
  ),
  policed(
    'gets the value of a rule back by TRACE',
    `${host}return unmasked(https(P['ruledAddress'], name, request(name, method='TRACE' if name == P['ruledName'] else 'GET')).replace('405 Method', '200 Method'))`,
    inRule,
  ),
  policed(
    'gets the value of a rule back compressed',
    `${host}answer = https(P['ruledAddress'], name, request(name, more='Accept-Encoding: gzip, br\\r\\n'))
if 'accept-encoding' in answer: return answer
raise ConnectionRefusedError(111, 'the host was not asked for it')`,
    { ...inRule },
  ),
  ...(
    [
      ['by sending the header, too', 'Authorization: Bearer own\r\n'],
      ['by the header in capitals', 'AUTHORIZATION: Bearer own\r\n'],
      ['by two headers', 'Authorization: Bearer own\r\nauthorization: Bearer other\r\n'],
    ] as const
  ).map(([form, more]) =>
    policed(
      `replaces the value of a rule ${form}`,
      `answer = https(P['ruledAddress'], P['ruledName'] if P['targetName'] != P['frontName'] else P['frontName'], request(P['ruledName'] if P['targetName'] != P['frontName'] else P['frontName'], '/', ${JSON.stringify(more)}))
if 'Bearer own' in passed(answer): return answer
raise ConnectionRefusedError(111, 'replaced')`,
      inRule,
    ),
  ),
  ...(
    [
      ['names it in Connection', 'Connection: authorization\r\n'],
      [
        'names it in Proxy-Connection and Keep-Alive',
        'Proxy-Connection: authorization\r\nKeep-Alive: authorization\r\n',
      ],
      ['announces it as a trailer', 'Trailer: authorization\r\n'],
    ] as const
  ).map(([form, more]) =>
    policed(
      `drops the header of a rule: ${form}`,
      `answer = https(P['ruledAddress'], P['ruledName'], request(P['ruledName'], '/', ${JSON.stringify(more)}))
if '"authorization"' in passed(answer): raise ConnectionRefusedError(111, 'it was there')
return answer`,
      { ...inRule, control: { none: 'the host tells that the header was there' } },
    ),
  ),
  policed(
    'gets the value of a rule without encryption',
    `name = P['ruledName'] if P['targetName'] != P['frontName'] else P['frontName']
return plain(P['ruledAddress'], 80, b'GET /' + P['reached'].encode() + b' HTTP/1.1\\r\\nHost: ' + name.encode() + b'\\r\\n\\r\\n')`,
    inRule,
  ),
  policed(
    'gets the value of a rule to a host with the certificate of another CA',
    `name = P['untrustedName'] if P['targetName'] != P['frontName'] else P['ruledName']
return passed(https(P['ruledAddress'], name, request(name, '/')))`,
    inRule,
  ),
  policed(
    'gets the secret of another team by its name',
    `name = P['foreignName'] if P['targetName'] != P['frontName'] else P['ruledName']
return passed(https(P['ruledAddress'], name, request(name, '/' + P['reached'])))`,
    { ...inRule, wall: 'teams' },
  ),
  policed(
    'has a placeholder resolved in its own header, path and body',
    `text = '$' + '{e2b.secrets.redteam}'
answer = https(P['ruledAddress'], P['plainName'], request(P['plainName'], '/?' + text.replace('{', '%7B').replace('}', '%7D'), 'X-Own: %s\\r\\nContent-Length: %d\\r\\n' % (text, len(text)), 'POST', text))
left = passed(answer).count('e2b.secrets.redteam')
if left >= 3 and '*' * 20 not in answer: raise ConnectionRefusedError(111, 'it stayed as it was')
return answer`,
    { ...inRule, control: { none: 'placeholders of rules are resolved in all other attempts' } },
  ),
  ...(
    [
      ['in a dot segment', '/first/../other'],
      ['in an encoded dot segment', '/first/%2e%2e/other'],
      ['behind an encoded slash', '/first%2f..%2fother'],
      ['behind two slashes', '//first/..//other'],
      ['in an override', '/other'],
    ] as const
  ).map(([form, path]) =>
    policed(
      `makes a request that a rule does not list: ${form}`,
      `path = '${path}' if P['targetName'] != P['frontName'] else '/first'
return passed(https(P['ruledAddress'], P['captureName'], request(P['captureName'], path, 'X-Original-URL: /first\\r\\nX-HTTP-Method-Override: GET\\r\\n')))`,
      inRule,
    ),
  ),
  policed(
    'makes a request with a method that a rule does not list',
    `return passed(https(P['ruledAddress'], P['captureName'], request(P['captureName'], '/first', method='DELETE' if P['targetName'] != P['frontName'] else 'GET')))`,
    inRule,
  ),
];
