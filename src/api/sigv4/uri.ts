/** Percent-encoding as signature version 4 wants it: everything but the unreserved characters of RFC 3986. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Decodes what can be decoded; text that is not valid percent-encoded UTF-8 is taken as it stands. */
export function uriDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export type QueryParameter = readonly [name: string, value: string];

/** Decoded parameters in the order sent; a plus sign is a space, as in HTML forms. */
export function parseQuery(query: string): QueryParameter[] {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      const name = equals === -1 ? part : part.slice(0, equals);
      const value = equals === -1 ? '' : part.slice(equals + 1);
      return [uriDecode(name.replaceAll('+', ' ')), uriDecode(value.replaceAll('+', ' '))];
    });
}

export function queryValue(parameters: readonly QueryParameter[], name: string): string | undefined {
  return parameters.find(([key]) => key === name)?.[1];
}
