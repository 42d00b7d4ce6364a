import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { childrenNamed, childText, parseXml, XmlError } from './parse.ts';
import { element, xmlDocument } from './write.ts';

test('reads what it writes', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !/[\p{Cc}\ufffe\uffff]/u.test(value));
  fc.assert(
    fc.property(fc.array(text), (values) => {
      const document = xmlDocument(
        element(
          'Delete',
          values.map((value) => element('Key', value)),
          { xmlns: 'a&"b' },
        ),
      );
      assert.deepEqual(
        childrenNamed(parseXml(document), 'Key').map((key) => key.text),
        values,
      );
    }),
  );
});

test('drops prefixes, declarations, comments and attributes', () => {
  const document = parseXml(
    '<?xml version="1.0"?>\n<!-- c -->\n<s3:Delete xmlns:s3="u"><s3:Quiet a="b">true</s3:Quiet><Empty/></s3:Delete>\n',
  );
  assert.equal(document.name, 'Delete');
  assert.equal(childText(document, 'Quiet'), 'true');
  assert.equal(childText(document, 'Empty'), '');
});

test('reads entities and refuses others', () => {
  assert.equal(parseXml('<a>&lt;&#65;&#x42;&amp;lt;</a>').text, '<AB&lt;');
  for (const text of ['<a>&b;</a>', '<a>&#0;</a>', '<a>&amp</a>', '<a>& b</a>']) {
    assert.throws(() => parseXml(text), XmlError, text);
  }
});

test('refuses what is not one well-formed document', () => {
  const doctype = '<!DOCTYPE a [<!ENTITY b "c">]><a/>';
  const deep = `${'<a>'.repeat(1000)}${'</a>'.repeat(1000)}`;
  for (const text of ['', 'a', '<a>', '</a>', '<a></b>', '<a/><b/>', '<a', '<a><b></a></b>', doctype, deep]) {
    assert.throws(() => parseXml(text), XmlError, text);
  }
});

test('takes any text without failing otherwise', () => {
  const markup = fc.string({
    unit: fc.constantFrom('<', '>', '/', 'a', '&', ';', ' ', '!', '-', '?', '"', '='),
  });
  fc.assert(
    fc.property(markup, (text) => {
      try {
        parseXml(text);
      } catch (error) {
        assert(error instanceof XmlError);
      }
    }),
    { numRuns: 2000 },
  );
});
