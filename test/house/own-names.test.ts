/**
 * The names that the client's package shortens, and to which letters (scripts/own-names.json): nobody else may have a
 * property of such a name, and where two names share a letter, no object has both.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const letters = JSON.parse(readFileSync(`${root}scripts/own-names.json`, 'utf8')) as Readonly<Record<string, string>>;
const names = Object.keys(letters);
const entries = ['client/index.ts', 'client/node.ts', 'client/socket/node.ts', 'react/index.ts', 'protocol/index.ts'];
/** What is declared here is for applications. */
const forAll = /client\/(?:socket\/)?(?:types|index|node|socket|listeners)\.ts$/;

interface Properties {
  /** Names that the client's own modules declare, each with where it is. */
  readonly own: ReadonlyMap<string, string>;
  /** Those of others, in the client, its hooks and the protocol. Hooks have properties of their own, which the client never meets. */
  readonly others: ReadonlyMap<string, string>;
  /** The shortened names that a type of the client has, for each such type. */
  readonly together: ReadonlySet<string>;
}

function properties(): Properties {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)) as { config: unknown };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const files = entries.map((entry) => `${root}src/${entry}`);
  const program = ts.createProgram(files, { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const own = new Map<string, string>();
  const others = new Map<string, string>();
  const together = new Set<string>();
  const types = new Set<ts.Type>();
  const isOf = (symbol: ts.Symbol | undefined, folder: string): boolean =>
    symbol?.declarations?.every((declaration) => {
      const { fileName } = declaration.getSourceFile();
      return fileName.startsWith(`${root}src/${folder}/`) && !forAll.test(fileName);
    }) ?? false;
  const member = (type: ts.Type | undefined, name: string): ts.Symbol | undefined =>
    type && checker.getPropertyOfType(checker.getNonNullableType(type), name);

  const look = (node: ts.Node): void => {
    const { text: name, symbol } = named(node) ?? {};
    if (name !== undefined && !isOf(symbol, 'react')) {
      (isOf(symbol, 'client') ? own : others).set(name, node.getSourceFile().fileName.slice(root.length));
    }
    if (ts.isExpression(node) || ts.isTypeNode(node) || ts.isClassLike(node) || ts.isInterfaceDeclaration(node)) {
      const type = checker.getTypeAtLocation(node);
      for (const part of type.isUnion() ? type.types : [type]) {
        if (types.has(part)) continue;
        types.add(part);
        const members = checker.getPropertiesOfType(part).map((symbol) => symbol.name);
        together.add(members.filter((member) => Object.hasOwn(letters, member)).join(' '));
      }
    }
    ts.forEachChild(node, look);
  };
  const named = (node: ts.Node): { text: string; symbol: ts.Symbol | undefined } | undefined => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.name)) {
      const symbol = checker.getSymbolAtLocation(node.name);
      // Of an imported module, not of an object.
      if (symbol && symbol.flags & (ts.SymbolFlags.Alias | ts.SymbolFlags.Variable)) return undefined;
      return { text: node.name.text, symbol };
    }
    if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
      return { text: node.argumentExpression.text, symbol: undefined };
    }
    if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent) && !node.dotDotDotToken) {
      const text = (node.propertyName ?? node.name).getText();
      return { text, symbol: member(checker.getTypeAtLocation(node.parent), text) };
    }
    if (!(ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElementLike(node))) return undefined;
    if (!node.name || !(ts.isIdentifier(node.name) || ts.isStringLiteralLike(node.name))) return undefined;
    const { text } = node.name;
    if (!ts.isObjectLiteralExpression(node.parent)) return { text, symbol: checker.getSymbolAtLocation(node.name) };
    return { text, symbol: member(checker.getContextualType(node.parent), text) };
  };

  for (const file of program.getSourceFiles()) if (file.fileName.startsWith(`${root}src/`)) look(file);
  return { own, others, together };
}

const { own, others, together } = properties();

t.test(
  'what the published client shortens is its own: no user, server, browser or hook has a property of that name',
  async (t) => {
    t.ok(
      ['token', 'members', 'onopen', 'graceMs', 'released'].every((name) => others.has(name)),
      'others are seen',
    );
    for (const name of names) t.equal(others.get(name), undefined, name);
    t.same(
      names.filter((name) => !own.has(name)),
      [],
      'each is still there',
    );
    const more = [...own.keys()].filter((name) => !others.has(name) && !names.includes(name));
    t.comment(`could be shortened, too: ${more.sort().join(', ')}`);
  },
);

t.test(
  'names that share a letter are of different objects, and nobody else has a property of that letter',
  async (t) => {
    t.ok(
      [...together].some((names) => /onOpen\b.*\bonFrame/.test(names)),
      'types are seen',
    );
    for (const members of [...together].map((names) => names.split(' '))) {
      const distinct = new Set(members.map((name) => letters[name]));
      if (distinct.size < members.length)
        t.fail(`of one object: ${members.map((name) => `${name} ${letters[name]}`).join(', ')}`);
    }
    for (const letter of Object.values(letters)) t.equal(others.get(letter), undefined, letter);
  },
);
