/** Values of the arguments that a FROM sees: those before the first stage, and what the builder knows of the platform. */
export type Variables = ReadonlyMap<string, string>;

const pattern = /^\$(?:\{([A-Za-z_]\w*)(?:(:?[-+])((?:[^${}"'\\])*))?\}|([A-Za-z_]\w*))/;

/**
 * What becomes of a word with quotes and of the variables in it, as a Dockerfile has them.
 * @returns undefined where it has a form that is not known here
 */
export function expand(word: string, variables: Variables): string | undefined {
  let result = '';
  for (let at = 0; at < word.length; ) {
    const character = word.charAt(at);
    if (character === '"' || character === "'") {
      const end = word.indexOf(character, at + 1);
      if (end < 0) return undefined;
      const inner = word.slice(at + 1, end);
      const value = character === "'" ? inner : expand(inner, variables);
      if (value === undefined) return undefined;
      result += value;
      at = end + 1;
    } else if (character === '$') {
      const match = pattern.exec(word.slice(at));
      if (match === null) return undefined;
      result += resolve(match, variables);
      at += match[0].length;
    } else if (character === '\\') {
      return undefined;
    } else {
      result += character;
      at += 1;
    }
  }
  return result;
}

function resolve([, braced, operator, word = '', plain]: RegExpExecArray, variables: Variables): string {
  const value = variables.get(braced ?? plain ?? '');
  const given =
    operator?.startsWith(':') === true ? value !== undefined && value !== '' : value !== undefined;
  if (operator?.endsWith('-') === true) return given ? (value ?? '') : word;
  if (operator?.endsWith('+') === true) return given ? word : '';
  return value ?? '';
}
