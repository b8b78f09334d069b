import { cases } from './cases.mjs';

/** `POST /run?case=N`: whether the case passes, and why not. `GET /cases`: the list of cases. */
export async function runCase(request, env, context) {
  const url = new URL(request.url);
  if (url.pathname === '/cases') return Response.json(cases.map(({ area, name, spec }) => ({ area, name, spec })));
  const found = cases[Number(url.searchParams.get('case'))];
  try {
    await found.run(request, env, context);
    return Response.json({ passes: true });
  } catch (error) {
    return Response.json({ passes: false, why: String(error) });
  }
}
