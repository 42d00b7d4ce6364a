import { inQuery, integer, list, map, optional, structure, text, union } from './shape.ts';

/** Shapes more than one operation uses (spec section 1.2). */

export const nonBlank = text({ min: 1, max: 2048, pattern: '[^\\s]+' });
export const version = text({ min: 1, max: 2048, pattern: '[^\\s]+' });
export const identifier = text({ min: 1, max: 256 });
export const roleArn = text({
  min: 20,
  max: 2048,
  pattern: 'arn:aws[a-z\\-]*:iam::[0-9]{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+',
});
/** A key to encrypt with, of which clients newer than the rest of the model know. */
export const kmsKey = text({
  min: 1,
  max: 2048,
  pattern:
    '(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[a-zA-Z0-9:/_-]+|alias/[a-zA-Z0-9:/_-]+|[a-zA-Z0-9-]+)',
});
export const clientToken = text({ min: 1, max: 128 });
export const connectorArn = text({ min: 1, max: 2048 });

export const tagKey = text({ min: 1, max: 128, pattern: '([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)' });
export const tags = map(tagKey, text({ min: 0, max: 256, pattern: '([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)' }));

export const logging = union({
  disabled: optional(structure({})),
  cloudWatch: optional(
    structure({
      logGroup: optional(text({ min: 1, max: 512, pattern: '[a-zA-Z0-9_\\-/.#]+' })),
      logStream: optional(text({ min: 1, max: 512, pattern: '[^:*]*' })),
    }),
  ),
});

export const paging = {
  maxResults: inQuery(optional(integer({ min: 1, max: 50 }))),
  nextToken: inQuery(optional(text())),
};

export const connectors = list(connectorArn, { min: 0, max: 10 });
