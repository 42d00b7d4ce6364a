import { tagKey, tags } from './common.ts';
import { inPath, inQuery, list, required, structure, text } from './shape.ts';

/** Requests about tags (spec sections 1.2 and 1.3). */

const uuid = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';

const resource = text({
  min: 1,
  max: 10_000,
  pattern:
    'arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:' +
    '(function:[a-zA-Z0-9-_]+(:(\\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|' +
    `code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:${uuid}|` +
    '(capacity-provider|network-connector|microvm-image):[a-zA-Z0-9-_]+)',
});

export const tagResource = structure({ Resource: inPath(resource), Tags: required(tags) });

export const untagResource = structure({
  Resource: inPath(resource),
  TagKeys: inQuery(required(list(tagKey)), 'tagKeys'),
});

export const listTags = structure({ Resource: inPath(resource) });
