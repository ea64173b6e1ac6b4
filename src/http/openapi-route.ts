/** Serves the document that openapi.ts makes, made anew when the program has added to them. */
import * as v from 'valibot';
import { openApi, type Listed } from './openapi.js';
import { json } from './problem.js';
import { route, type Route } from './route.js';
import { version } from './version.js';

/** `listed`: all that there are by then; `names`: schemas that they share. */
export function openApiRoute(
  listed: () => readonly Listed[],
  { names, basePath }: { readonly names: Readonly<Record<string, v.GenericSchema>>; readonly basePath: string },
): Route {
  let document: object = {};
  let count = 0;
  return route({
    method: 'GET',
    path: '/openapi.json',
    id: 'getOpenApi',
    summary: 'This document.',
    open: true,
    answers: { 200: { description: 'OpenAPI 3.1', schema: v.record(v.string(), v.unknown()) } },
    async handle() {
      const all = listed();
      if (all.length !== count) document = openApi(all, { version: version(), names, basePath });
      count = all.length;
      return json(200, document);
    },
  });
}
