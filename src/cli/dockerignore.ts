/**
 * The rules of a `.dockerignore` file: one pattern a line, `#` comments, `!` exceptions, the last rule that
 * fits decides. `*`, `?`, `[…]` and `**` as in Docker; a pattern that fits a directory covers what is in it.
 */
export class IgnoreRules {
  readonly #rules: readonly { readonly pattern: RegExp; readonly ignore: boolean }[];

  constructor(content: string) {
    this.#rules = content.split('\n').flatMap((line) => {
      const text = line.trim();
      if (text === '' || line.startsWith('#')) return [];
      const ignore = !text.startsWith('!');
      const pattern = (ignore ? text : text.slice(1).trim()).replace(/^\.?\/+/, '').replace(/\/+$/, '');
      return pattern === '' ? [] : [{ pattern: toExpression(pattern), ignore }];
    });
  }

  /** @param path relative to the context, with `/` between names */
  ignores(path: string): boolean {
    return this.#rules.reduce(
      (ignored, { pattern, ignore }) => (pattern.test(path) ? ignore : ignored),
      false,
    );
  }

  /** Whether something below an ignored directory may still be wanted. */
  get hasExceptions(): boolean {
    return this.#rules.some(({ ignore }) => !ignore);
  }
}

function toExpression(pattern: string): RegExp {
  const tokens = pattern.match(/\*\*\/|\*\*|\*|\?|\[\^?[^\]]+\]|\\?./gs) ?? [];
  const source = tokens.map((token) => {
    if (token === '**/') return '(?:.*/)?';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.startsWith('[') && token.length > 2) return token.replaceAll('\\', '\\\\');
    return RegExp.escape(token.length === 2 && token.startsWith('\\') ? token.slice(1) : token);
  });
  return new RegExp(`^${source.join('')}(?:/.*)?$`, 's');
}
