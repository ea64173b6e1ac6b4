/** Serves the document that openapi.ts makes, made once. */
import * as v from 'valibot';
import { openApi } from './openapi.js';
import { json } from './problem.js';
import { route, type Route } from './route.js';
import { version } from './version.js';

/** `routes`: all others; `names`: schemas that they share. */
export function openApiRoute(routes: readonly Route[], names: Readonly<Record<string, v.GenericSchema>>): Route {
  let document: object | undefined;
  const own: Route = route({
    method: 'GET',
    path: '/openapi.json',
    id: 'getOpenApi',
    summary: 'This document.',
    for: 'everyone',
    answers: { 200: { description: 'OpenAPI 3.1', schema: v.record(v.string(), v.unknown()) } },
    handle: async () => json(200, (document ??= openApi([...routes, own], { version: version(), names }))),
  });
  return own;
}
