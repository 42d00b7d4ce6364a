/** An element of a parsed document: its children, or its text. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

export class XmlError extends Error {
  override readonly name = 'XmlError';
}

const deepest = 16;
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/**
 * Reads the small documents S3 clients send: elements and text. Attributes are skipped, prefixes dropped;
 * document types and entities of one's own are refused.
 * @throws {XmlError}
 */
export function parseXml(source: string): XmlElement {
  const token = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.:-]*)((?:\s[^<>]*?)?)(\/?)>|([^<]+)/gy;
  const root: MutableElement = { name: '', children: [], text: '' };
  const open: MutableElement[] = [root];
  while (token.lastIndex < source.length) {
    const match = token.exec(source);
    if (match === null) throw new XmlError('not well-formed');
    const [, closing, name, , empty, text] = match;
    const top = open.at(-1) ?? root;
    if (text !== undefined) {
      top.text += decode(text);
    } else if (name !== undefined) {
      const local = name.slice(name.indexOf(':') + 1);
      if (closing === '/') {
        if (open.length === 1 || top.name !== local) throw new XmlError('elements do not nest');
        open.pop();
      } else {
        const created: MutableElement = { name: local, children: [], text: '' };
        top.children.push(created);
        if (empty !== '/') open.push(created);
        if (open.length > deepest) throw new XmlError('nested too deeply');
      }
    }
  }
  const [only, ...others] = root.children;
  if (open.length !== 1 || only === undefined || others.length > 0) throw new XmlError('not one document');
  return only;
}

export function childText(parent: XmlElement, name: string): string | undefined {
  return parent.children.find((child) => child.name === name)?.text;
}

export function childrenNamed(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

interface MutableElement extends XmlElement {
  readonly children: MutableElement[];
  text: string;
}

function decode(text: string): string {
  return text.replace(/&([^;&]{0,10});?/g, (whole, name: string) => {
    const code = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    const character =
      code === null
        ? entities[name]
        : fromCodePoint(Number.parseInt(code[1] ?? code[2] ?? '', code[1] ? 16 : 10));
    if (character === undefined || !whole.endsWith(';')) throw new XmlError('unknown entity');
    return character;
  });
}

function fromCodePoint(code: number): string | undefined {
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code).toWellFormed() : undefined;
}
