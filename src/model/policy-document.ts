import type { Policy, Selection, Statement } from './policy.ts';
import {
  type Condition,
  canonicalConditionKey,
  conditionOperators,
  isConditionOperator,
  type Quantifier,
} from './policy-condition.ts';

/** Longest document in characters. */
export const longestPolicy = 6144;
const mostStatements = 64;
const version = '2012-10-17';

/** A document that is not a policy, or asks for more than is understood; the message is meant for its author. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}

type JsonObject = Readonly<Record<string, unknown>>;

const elements: readonly string[] = [
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
];

/**
 * Reads an identity-based policy document. Whatever is not understood is refused: a condition that is passed over
 * would give more than was meant, or deny less.
 * @throws {PolicyError}
 */
export function parsePolicy(text: string): Policy {
  if (text.length > longestPolicy) {
    throw new PolicyError(`the document is longer than ${longestPolicy} characters`);
  }
  const document = readObject(parseJson(text), 'the document');
  refuseOthers(document, ['Version', 'Id', 'Statement'], 'the document');
  if (document.Version !== version) throw new PolicyError(`Version has to be "${version}"`);
  const statements = asList(document.Statement);
  if (statements.length === 0) throw new PolicyError('Statement is missing');
  if (statements.length > mostStatements) throw new PolicyError(`more than ${mostStatements} statements`);
  return { statements: statements.map((item, index) => readStatement(item, `Statement[${index}]`)) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PolicyError('the document is not JSON');
  }
}

function readStatement(value: unknown, where: string): Statement {
  const statement = readObject(value, where);
  refuseOthers(statement, elements, where);
  const effect = statement.Effect;
  if (effect !== 'Allow' && effect !== 'Deny') {
    throw new PolicyError(`${where}.Effect has to be "Allow" or "Deny"`);
  }
  return {
    effect,
    actions: readSelection(statement, 'Action', where, /^(\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+)$/),
    resources: readSelection(statement, 'Resource', where, /^(\*|arn:.+)$/s),
    conditions: statement.Condition === undefined ? [] : readConditions(statement.Condition, where),
  };
}

function readSelection(
  statement: JsonObject,
  name: 'Action' | 'Resource',
  where: string,
  form: RegExp,
): Selection {
  const except = Object.hasOwn(statement, `Not${name}`);
  if (except === Object.hasOwn(statement, name)) {
    throw new PolicyError(`${where} has to have either ${name} or Not${name}`);
  }
  const place = `${where}.${except ? `Not${name}` : name}`;
  const patterns = readTexts(statement[except ? `Not${name}` : name], place);
  for (const pattern of patterns) {
    if (!form.test(pattern)) throw new PolicyError(`${place}: ${JSON.stringify(pattern)} is not valid`);
  }
  return { except, patterns };
}

function readConditions(value: unknown, where: string): readonly Condition[] {
  const place = `${where}.Condition`;
  return Object.entries(readObject(value, place)).flatMap(([name, keys]) => {
    const operator = readOperator(name, place);
    return Object.entries(readObject(keys, `${place}.${name}`)).map(([key, values]): Condition => {
      const canonical = canonicalConditionKey(key);
      if (canonical === undefined) throw new PolicyError(`${place}.${name}: no request has the key "${key}"`);
      const wanted = readTexts(values, `${place}.${name}.${key}`);
      if (operator.operator === 'Null' || operator.operator === 'Bool') {
        requireFlags(wanted, `${place}.${name}.${key}`);
      }
      return { ...operator, key: canonical, values: wanted };
    });
  });
}

const quantifiers: Readonly<Record<string, Quantifier>> = { ForAllValues: 'all', ForAnyValue: 'any' };

function readOperator(name: string, where: string): Pick<Condition, 'operator' | 'quantifier' | 'ifExists'> {
  const [, prefix, base = '', suffix] =
    /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(name) ?? [];
  const ifExists = suffix !== undefined;
  if (!isConditionOperator(base) || (base === 'Null' && (ifExists || prefix !== undefined))) {
    throw new PolicyError(
      `${where}: the operator "${name}" is not known; known are ${conditionOperators.join(', ')}`,
    );
  }
  return { operator: base, quantifier: quantifiers[prefix ?? ''] ?? 'plain', ifExists };
}

function requireFlags(values: readonly string[], where: string): void {
  if (!values.every((value) => value === 'true' || value === 'false')) {
    throw new PolicyError(`${where} has to be "true" or "false"`);
  }
}

/** One text or a list of them; flags may be given as JSON ones. */
function readTexts(value: unknown, where: string): readonly string[] {
  const values = asList(value).map((item) => (typeof item === 'boolean' ? String(item) : item));
  if (values.length === 0) throw new PolicyError(`${where} is empty`);
  return values.map((item) => {
    if (typeof item !== 'string') throw new PolicyError(`${where} has to be a text or a list of texts`);
    if (item.includes('${')) throw new PolicyError(`${where}: policy variables are not supported`);
    return item;
  });
}

function asList(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function readObject(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PolicyError(`${where} has to be an object`);
  }
  return value as JsonObject;
}

function refuseOthers(object: JsonObject, known: readonly string[], where: string): void {
  const other = Object.keys(object).find((name) => !known.includes(name));
  if (other !== undefined) throw new PolicyError(`${where} has an element that is not known: "${other}"`);
}
