/**
 * `GET /openapi.json`: the HTTP interface as an OpenAPI 3.1 document, made of the operations of the routes
 * that this server has. Their schemas are the ones that requests are checked with (route.ts).
 */
import { toJsonSchema, toJsonSchemaDefs, type ConversionConfig } from '@valibot/to-json-schema';
import * as v from 'valibot';
import * as answers from '../protocol/http-answers.js';
import type { Fields, Operation } from './route.js';

const PROBLEM = 'application/problem+json';

/** `refusesItsWay`: its refusals are the program's, and no problem documents. */
export interface Listed extends Operation {
  readonly refusesItsWay?: boolean;
}

/** `names`: schemas that operations share, by the name they get. */
export function openApi(
  operations: readonly Listed[],
  {
    version,
    names,
    basePath = '',
  }: {
    readonly version: string;
    readonly names: Readonly<Record<string, v.GenericSchema>>;
    readonly basePath?: string;
  },
): object {
  const definitions = { ...answers, ...names };
  const config: ConversionConfig = {
    target: 'draft-2020-12',
    typeMode: 'input',
    // An application's own fields may be of any kind: what JSON Schema cannot say is left out.
    errorMode: 'ignore',
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
    overrideAction: ({ valibotAction, jsonSchema }) => {
      const { type, requirement } = valibotAction as unknown as {
        readonly type: string;
        readonly requirement: unknown;
      };
      // JSON Schema's patterns are Unicode as they are.
      if (type === 'regex') return { ...jsonSchema, pattern: (requirement as RegExp).source };
      // As many characters at most, if not as few.
      if (type === 'max_bytes') return { ...jsonSchema, maxLength: requirement as number };
      return undefined;
    },
  };
  /** What a schema says of itself, such as a tree of its branches. */
  const recursive: Record<string, object> = {};
  let converted = 0;
  const schemaOf = (schema: v.GenericSchema): object => {
    const prefix = `Schema${++converted}-`;
    const overrideRef = ({ referenceId }: { readonly referenceId: string }): string =>
      `#/components/schemas/${Object.hasOwn(definitions, referenceId) ? '' : prefix}${referenceId}`;
    const { $schema: _, $defs = {}, ...rest } = toJsonSchema(schema, { ...config, definitions, overrideRef });
    for (const [id, part] of Object.entries($defs))
      if (!Object.hasOwn(definitions, id)) recursive[prefix + id] = part as object;
    return rest;
  };
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    const path = (paths[operation.path.replace(/:(\w+)/g, '{$1}')] ??= {});
    // Of two that are the same the first answers.
    path[operation.method.toLowerCase()] ??= shown(operation, schemaOf);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'roomwire',
      version,
      description: 'The HTTP interface of a room server. docs/http.md says more; PROTOCOL.md describes the socket.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: `${basePath}/` }],
    security: [{ bearer: [] }],
    paths,
    components: {
      schemas: { ...toJsonSchemaDefs(definitions, config), ...recursive },
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: "A backend's API key, or a user's JSON Web Token. Guests, where they are let in, send nothing.",
        },
      },
    },
  };
}

function shown(operation: Listed, schemaOf: (schema: v.GenericSchema) => object): object {
  const {
    id,
    summary,
    path,
    query,
    headers,
    body,
    bodyOptional = false,
    answers: said = {},
    refusesItsWay,
  } = operation;
  const params = Object.fromEntries([...path.matchAll(/:(\w+)/g)].map(([, name = '']) => [name, v.string()]));
  const parameters = [
    ...parametersOf('path', { ...params, ...operation.params }, schemaOf),
    ...parametersOf('query', query, schemaOf),
    ...parametersOf('header', headers, schemaOf),
  ];
  const responses: Record<string, { readonly description: string; readonly content?: object }> =
    operation.answers === undefined ? { default: { description: 'what the program answers' } } : {};
  for (const [status, { description, schema, type = 'application/json', also }] of Object.entries(said)) {
    const content =
      schema !== undefined ? { schema: schemaOf(schema) } : type === 'application/json' ? undefined : textContent;
    const types = {
      ...(content === undefined ? {} : { [type]: content }),
      ...(also === undefined ? {} : { [also]: textContent }),
    };
    responses[status] = { description, ...(Object.keys(types).length === 0 ? {} : { content: types }) };
  }
  for (const status of problemsOf(operation)) {
    const told = responses[status];
    responses[status] = {
      description: told?.description ?? MEANINGS[status] ?? 'a problem document',
      content: {
        ...told?.content,
        ...(refusesItsWay === true ? anything : { [PROBLEM]: { schema: schemaOf(answers.Problem) } }),
      },
    };
  }
  return {
    ...(id === undefined ? {} : { operationId: id }),
    ...(summary === undefined ? {} : { summary }),
    ...(operation.open === true ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: !bodyOptional, content: { 'application/json': { schema: schemaOf(body) } } } }),
    responses,
  };
}

const textContent = { schema: { type: 'string' } };
const anything = { '*/*': {} };

function parametersOf(
  place: 'path' | 'query' | 'header',
  fields: Fields = {},
  schemaOf: (schema: v.GenericSchema) => object,
): object[] {
  return Object.entries(fields).map(([name, field]) => {
    const schema = field;
    const optional = schema.type === 'optional';
    const inner = optional ? (schema as unknown as { readonly wrapped: v.GenericSchema }).wrapped : schema;
    const description = v.getDescription(schema) ?? v.getDescription(inner);
    return {
      name,
      in: place,
      required: !optional,
      ...(description === undefined ? {} : { description }),
      schema: schemaOf(inner),
    };
  });
}

const MEANINGS: Readonly<Record<number, string>> = {
  400: 'malformed: JSON, the query or a header',
  401: 'no credentials, or wrong ones',
  403: 'not allowed',
  404: 'no such thing',
  409: 'the state does not allow it',
  412: 'changed since the version in If-Match',
  413: 'the body is too large',
  415: 'not application/json',
  422: 'the content is not as it must be',
  423: 'held by somebody else, or locked for good',
  429: 'too much: try again later',
  503: 'not now: try again later',
};

/** What any operation of its kind may answer, and what it says itself. */
function problemsOf({ open, perSecond, params, query, headers, body, problems = [] }: Operation): number[] {
  const found = new Set(problems);
  if (open !== true) for (const status of [401, 403, 429, 503]) found.add(status);
  if (perSecond !== undefined) found.add(429);
  if ([params, query, headers, body].some((part) => part !== undefined)) found.add(400);
  if (params !== undefined) found.add(422);
  if (body !== undefined) for (const status of [413, 415, 422]) found.add(status);
  return [...found].sort((a, b) => a - b);
}
