/**
 * Makes protocol/frames.schema.json, a JSON Schema of every frame, from the types of src/protocol/frames.ts. With
 * `--check` it only says whether the file is stale. Values are as in the vectors (protocol/README.md): bin is `{"$bin"}`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = `${root}protocol/frames.schema.json`;

const parse = (name) =>
  ts.createSourceFile(name, readFileSync(`${root}src/protocol/${name}.ts`, 'utf8'), ts.ScriptTarget.ES2022, true);
const frames = parse('frames');
const types = new Map(frames.statements.flatMap((node) => (node.name === undefined ? [] : [[node.name.text, node]])));
const opcodes = new Map(
  parse('opcodes').statements.flatMap(({ declarationList }) =>
    declarationList.declarations.map(({ name, initializer }) => [name.text, Number(initializer.text)]),
  ),
);

/** Numbers by the name of their element or key; a number of another name may have a fraction. */
const INTEGERS = new Set(['firstOffset', 'offset', 'code', 'time', 'expiresAt', 'pingEvery', 'retryAfterMs']);
const LARGEST_ID = 2 ** 31 - 1;

function number(name, frame) {
  // Id 0: an answer to nobody, a publish that wants none.
  if (name === 'id') return { type: 'integer', minimum: /^(Nack|Publish)/.test(frame) ? 0 : 1, maximum: LARGEST_ID };
  return INTEGERS.has(name) ? { type: 'integer', minimum: 0 } : { type: 'number' };
}

/** `name`: of the element or key that has this type; `frame`: of the type that it is in. */
function schemaOf(type, name, frame) {
  if (ts.isTypeOperatorNode(type)) return schemaOf(type.type, name, frame);
  if (ts.isArrayTypeNode(type)) return { type: 'array', items: schemaOf(type.elementType, '', frame) };
  if (ts.isTupleTypeNode(type)) return tuple(type, frame);
  if (ts.isTypeQueryNode(type)) return { const: opcodes.get(type.exprName.right.text) };
  if (ts.isUnionTypeNode(type)) return { anyOf: type.types.map((member) => schemaOf(member, name, frame)) };
  if (ts.isLiteralTypeNode(type)) return { type: 'null' };
  if (ts.isTypeLiteralNode(type)) return map(type.members, frame);
  if (ts.isTypeReferenceNode(type)) return reference(type, name, frame);
  switch (type.kind) {
    case ts.SyntaxKind.StringKeyword:
      return { type: 'string' };
    case ts.SyntaxKind.BooleanKeyword:
      return { type: 'boolean' };
    case ts.SyntaxKind.NumberKeyword:
      return number(name, frame);
    default:
      throw new Error(`${frame}: no schema for ${type.getText()}`);
  }
}

function reference(type, name, frame) {
  const target = type.typeName.getText();
  if (target === 'Value') return true;
  if (target === 'Readonly') return schemaOf(type.typeArguments[0], name, frame);
  if (target === 'Record')
    return { type: 'object', additionalProperties: schemaOf(type.typeArguments[1], name, frame) };
  return { $ref: `#/$defs/${target}` };
}

/** More elements may follow (RW-FRM-4). */
function tuple({ elements }, frame) {
  const rest = elements.find(({ dotDotDotToken }) => dotDotDotToken !== undefined);
  const fixed = elements.filter((element) => element !== rest);
  const member = (element) => {
    const name = element.name?.text ?? '';
    return { ...named(schemaOf(element.type ?? element, name, frame), name) };
  };
  const least = fixed.filter(({ questionToken }) => questionToken === undefined).length;
  return {
    type: 'array',
    prefixItems: fixed.map(member),
    ...(rest === undefined ? {} : { items: schemaOf(rest.type.elementType, '', frame) }),
    minItems: least + (rest === undefined ? 0 : 1),
  };
}

function named(schema, title) {
  return { ...(title === '' ? {} : { title }), ...(schema === true ? {} : schema) };
}

/** What is absent may be nil in what a client sends (RW-ENC-5). */
function map(members, frame) {
  const isClients = frame === 'Hello' || frame === 'CallOptions';
  const properties = {};
  const required = [];
  for (const member of members) {
    if (member.name === undefined) continue;
    const name = member.name.text;
    const schema = schemaOf(member.type, name, frame);
    const isOptional = member.questionToken !== undefined;
    properties[name] = isOptional && isClients ? { anyOf: [schema, { type: 'null' }] } : schema;
    const [comment] = ts.getJSDocCommentsAndTags(member);
    const description = comment === undefined ? undefined : ts.getTextOfJSDocComment(comment.comment);
    if (description !== undefined && schema !== true) properties[name] = { description, ...properties[name] };
    if (!isOptional) required.push(name);
  }
  return { type: 'object', properties, required };
}

/** The frames of a union such as ClientFrame. */
function unionOf(name) {
  return { oneOf: types.get(name).type.types.map((member) => ({ $ref: `#/$defs/${member.getText()}` })) };
}

const $defs = {};
for (const [name, node] of types) {
  if (['Value', 'ClientFrame', 'ServerFrame'].includes(name)) continue;
  if (ts.isTypeAliasDeclaration(node)) $defs[name] = schemaOf(node.type, '', name);
  else if (ts.isInterfaceDeclaration(node)) $defs[name] = map(node.members, name);
}
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:roomwire:v1:frames',
  title: 'The frames of roomwire.v1',
  description:
    'Made from src/protocol/frames.ts. #/$defs/ClientFrame: to the server. #/$defs/ServerFrame: to the client.',
  anyOf: [{ $ref: '#/$defs/ClientFrame' }, { $ref: '#/$defs/ServerFrame' }],
  $defs: { ClientFrame: unionOf('ClientFrame'), ServerFrame: unionOf('ServerFrame'), ...$defs },
};

const made = await prettier.format(JSON.stringify(schema), { parser: 'json', printWidth: 120 });
if (made === readIfThere(file)) console.log('protocol/frames.schema.json is up to date');
else if (process.argv.includes('--check')) {
  console.error('protocol/frames.schema.json is stale; run npm run docs:tables');
  process.exitCode = 1;
} else {
  writeFileSync(file, made);
  console.log('wrote protocol/frames.schema.json');
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
