import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { matchesGlob } from './glob.ts';
import { type Decision, evaluate } from './policy.ts';
import { longestPolicy, PolicyError, parsePolicy } from './policy-document.ts';

type Json = Readonly<Record<string, unknown>>;

const image = 'arn:aws:lambda:us-east-1:123456789012:microvm-image:web';

function document(...statements: readonly Json[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

function decide(
  statements: readonly Json[],
  action = 'lambda:RunMicrovm',
  resource = image,
  context: Readonly<Record<string, readonly string[]>> = {},
): Decision {
  const request = { action, resource, context: new Map(Object.entries(context)) };
  return evaluate(parsePolicy(document(...statements)), request);
}

function allow(more: Json = {}): Json {
  return { Effect: 'Allow', Action: '*', Resource: '*', ...more };
}

const anyEffect = fc.constantFrom('Allow', 'Deny');
const anyAction = fc.constantFrom(
  'lambda:RunMicrovm',
  'lambda:GetMicrovm',
  's3:GetObject',
  'dormouse:ListKeys',
);
const anyResource = fc.constantFrom(image, `${image}-2`, 'arn:aws:s3:::bucket/key', '*');
const anyPattern = fc.constantFrom('*', 'lambda:*', 'lambda:Get*', 's3:?etObject', 'LAMBDA:runmicrovm');
const anyStatement = fc
  .record({
    Effect: anyEffect,
    actions: fc.array(anyPattern, { minLength: 1, maxLength: 3 }),
    exceptActions: fc.boolean(),
    resources: fc.array(fc.constantFrom('*', image, `${image}*`, 'arn:aws:s3:::*'), {
      minLength: 1,
      maxLength: 3,
    }),
    exceptResources: fc.boolean(),
  })
  .map(({ Effect, actions, exceptActions, resources, exceptResources }) => ({
    Effect,
    [exceptActions ? 'NotAction' : 'Action']: actions,
    [exceptResources ? 'NotResource' : 'Resource']: resources,
  }));
const anyStatements = fc.array(anyStatement, { minLength: 1, maxLength: 6 });

describe('evaluation', () => {
  test('does not depend on the order of statements', () => {
    fc.assert(
      fc.property(anyStatements, anyAction, anyResource, (statements, action, resource) => {
        assert.equal(decide(statements, action, resource), decide(statements.toReversed(), action, resource));
      }),
    );
  });

  test('lets a statement that denies win over any that allow', () => {
    fc.assert(
      fc.property(anyStatements, anyAction, anyResource, (statements, action, resource) => {
        const denying = { Effect: 'Deny', Action: action, Resource: '*' };
        assert.equal(decide([...statements, denying], action, resource), 'explicitly-denied');
      }),
    );
  });

  test('never allows without a statement that does', () => {
    fc.assert(
      fc.property(anyStatements, anyAction, anyResource, (statements, action, resource) => {
        const denials = statements.filter(({ Effect }) => Effect === 'Deny');
        fc.pre(denials.length > 0);
        assert.notEqual(decide(denials, action, resource), 'allowed');
      }),
    );
  });

  test('takes Action and NotAction for opposites', () => {
    fc.assert(
      fc.property(anyPattern, anyAction, (pattern, action) => {
        const selected = decide([{ Effect: 'Allow', Action: pattern, Resource: '*' }], action);
        const rest = decide([{ Effect: 'Allow', NotAction: pattern, Resource: '*' }], action);
        assert.deepEqual([selected, rest].toSorted(), ['allowed', 'denied']);
      }),
    );
  });

  test('heeds case in resources but not in actions', () => {
    assert.equal(decide([allow({ Action: 'LAMBDA:rUN*' })]), 'allowed');
    assert.equal(decide([allow({ Resource: image.toUpperCase().replace('ARN', 'arn') })]), 'denied');
  });

  test('allows what is on no resource only by a star', () => {
    assert.equal(decide([allow({ Resource: 'arn:*' })], 'lambda:ListMicrovms', '*'), 'denied');
    assert.equal(decide([allow()], 'lambda:ListMicrovms', '*'), 'allowed');
  });
});

describe('conditions', () => {
  const on = (condition: Json, context: Readonly<Record<string, readonly string[]>> = {}): boolean =>
    decide([allow({ Condition: condition })], undefined, undefined, context) === 'allowed';
  const tag = 'aws:ResourceTag/team';

  test('compare texts', () => {
    const cases: readonly (readonly [operator: string, wanted: string, actual: string, holds: boolean])[] = [
      ['StringEquals', 'blue', 'blue', true],
      ['StringEquals', 'blue', 'Blue', false],
      ['StringEquals', 'bl*', 'blue', false],
      ['StringNotEquals', 'blue', 'blue', false],
      ['StringNotEquals', 'blue', 'red', true],
      ['StringEqualsIgnoreCase', 'BLUE', 'blue', true],
      ['StringNotEqualsIgnoreCase', 'BLUE', 'blue', false],
      ['StringLike', 'b?u*', 'blue', true],
      ['StringNotLike', 'b?u*', 'blue', false],
      ['ArnLike', 'b*', 'blue', true],
      ['ArnNotEquals', 'b*', 'blue', false],
      ['Bool', 'true', 'TRUE', true],
      ['Bool', 'true', 'false', false],
      ['Null', 'false', 'blue', true],
      ['Null', 'true', 'blue', false],
    ];
    for (const [operator, wanted, actual, expected] of cases) {
      assert.equal(on({ [operator]: { [tag]: wanted } }, { [tag]: [actual] }), expected, operator);
    }
  });

  test('about a key the request lacks hold only negated, or where that is asked for', () => {
    const wanted = { [tag]: 'true' };
    for (const operator of ['StringEquals', 'StringLike', 'ArnLike', 'Bool', 'ForAnyValue:StringEquals']) {
      assert.equal(on({ [operator]: wanted }), false, operator);
    }
    const held = [
      'StringNotEquals',
      'StringNotLike',
      'Null',
      'StringEqualsIfExists',
      'ForAllValues:StringEquals',
    ];
    for (const operator of held) assert.equal(on({ [operator]: wanted }), true, operator);
  });

  test('quantify over several values', () => {
    const keys = { 'aws:TagKeys': ['team', 'stage'] };
    const wanted = { 'aws:TagKeys': ['team', 'owner'] };
    assert.equal(on({ 'ForAnyValue:StringEquals': wanted }, keys), true);
    assert.equal(on({ 'ForAllValues:StringEquals': wanted }, keys), false);
    assert.equal(on({ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team', 'stage'] } }, keys), true);
    assert.equal(on({ StringEquals: wanted }, keys), true);
    assert.equal(on({ StringNotEquals: wanted }, keys), false);
  });

  test('have to hold all', () => {
    const condition = { StringEquals: { [tag]: 'blue' }, Null: { 'aws:RequestTag/team': true } };
    assert.equal(on(condition, { [tag]: ['blue'] }), true);
    assert.equal(on(condition, { [tag]: ['blue'], 'aws:RequestTag/team': ['x'] }), false);
  });

  test('heed case only in the names of tags', () => {
    assert.equal(on({ StringEquals: { 'AWS:resourcetag/team': 'blue' } }, { [tag]: ['blue'] }), true);
    assert.equal(on({ StringEquals: { 'aws:ResourceTag/Team': 'blue' } }, { [tag]: ['blue'] }), false);
  });
});

describe('documents', () => {
  test('are taken with one statement or several', () => {
    const single = JSON.stringify({ Version: '2012-10-17', Id: 'x', Statement: allow({ Sid: 'one' }) });
    assert.deepEqual(parsePolicy(single), parsePolicy(document(allow())));
  });

  test('are refused where anything is not understood', () => {
    const statement = (more: Json, less = ''): string =>
      document(Object.fromEntries(Object.entries(allow(more)).filter(([name]) => name !== less)));
    const refused: readonly (readonly [text: string, problem: RegExp])[] = [
      ['{', /not JSON/],
      ['[]', /has to be an object/],
      ['null', /has to be an object/],
      [JSON.stringify({ Statement: [allow()] }), /Version/],
      [JSON.stringify({ Version: '2008-10-17', Statement: [allow()] }), /Version/],
      [JSON.stringify({ Version: '2012-10-17', Statement: [] }), /Statement is missing/],
      [JSON.stringify({ Version: '2012-10-17', Statement: [allow()], More: 1 }), /"More"/],
      [statement({ Principal: '*' }), /"Principal"/],
      [statement({ Effect: 'allow' }), /Effect/],
      [statement({}, 'Action'), /either Action or NotAction/],
      [statement({ NotAction: '*' }), /either Action or NotAction/],
      [statement({}, 'Resource'), /either Resource or NotResource/],
      [statement({ Action: [] }), /Action is empty/],
      [statement({ Action: 'RunMicrovm' }), /"RunMicrovm" is not valid/],
      [statement({ Action: 7 }), /text or a list/],
      [statement({ Resource: 'web' }), /"web" is not valid/],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a policy variable
      [statement({ Resource: 'arn:aws:s3:::b/${aws:username}' }), /variables/],
      [statement({ Condition: { IpAddress: { 'aws:SourceIp': '::1' } } }), /"IpAddress" is not known/],
      [statement({ Condition: { NullIfExists: { 'aws:TagKeys': 'true' } } }), /"NullIfExists" is not known/],
      [statement({ Condition: { StringEquals: { 'aws:SourceIp': '::1' } } }), /"aws:SourceIp"/],
      [statement({ Condition: { StringEquals: { 'aws:ResourceTag/': 'x' } } }), /"aws:ResourceTag\/"/],
      [statement({ Condition: { Bool: { 'aws:TagKeys': 'yes' } } }), /"true" or "false"/],
      [statement({ Sid: 'x'.repeat(longestPolicy) }), /longer/],
      [document(...Array.from({ length: 65 }, () => ({ Effect: 'Deny', Action: '*', Resource: '*' }))), /64/],
    ];
    for (const [text, problem] of refused) {
      assert.throws(
        () => parsePolicy(text),
        (error) => error instanceof PolicyError && problem.test(error.message),
        text,
      );
    }
  });

  test('never fail with anything but their own error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.json().map((inner) => `{"Version":"2012-10-17","Statement":${inner}}`),
        ),
        (text) => {
          try {
            parsePolicy(text);
          } catch (error) {
            assert.ok(error instanceof PolicyError);
          }
        },
      ),
    );
  });
});

describe('wildcards', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.', '\n'), maxLength: 12 });

  test('match as a regular expression does', () => {
    fc.assert(
      fc.property(letters, letters, (pattern, text) => {
        const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
        assert.equal(matchesGlob(pattern, text), new RegExp(`^${source}$`, 's').test(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('stay quick on what makes regular expressions slow', () => {
    const started = process.cpuUsage();
    assert.equal(matchesGlob('*a'.repeat(500), 'a'.repeat(2000).concat('b')), false);
    assert.ok(process.cpuUsage(started).user < 1_000_000);
  });
});
