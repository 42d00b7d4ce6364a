/** A minimal writer of XML, enough for the answers of S3 and STS. */

export interface XmlNode {
  readonly name: string;
  readonly content: string | number | boolean | readonly (XmlNode | undefined)[];
  readonly attributes: Readonly<Record<string, string>>;
}

/** @param content text, or children; undefined ones are left out */
export function element(
  name: string,
  content: XmlNode['content'],
  attributes: Readonly<Record<string, string>> = {},
): XmlNode {
  return { name, content, attributes };
}

export function xmlDocument(root: XmlNode): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${write(root)}`;
}

function write({ name, content, attributes }: XmlNode): string {
  const rendered = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`);
  const inner =
    typeof content === 'object'
      ? content.map((child) => (child === undefined ? '' : write(child))).join('')
      : escapeXml(String(content));
  return `<${name}${rendered.join('')}>${inner}</${name}>`;
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\r': '&#xD;',
  '\n': '&#xA;',
};

/** Control characters XML 1.0 cannot carry even escaped are replaced. */
function escapeXml(text: string): string {
  return (
    text
      .toWellFormed()
      .replace(/[&<>"'\r\n]/g, (character) => escapes[character] ?? character)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
  );
}
