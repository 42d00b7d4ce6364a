import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { type PreparedDockerfile, prepareDockerfile, type Surroundings } from './prepare.ts';

const here: Surroundings = {
  buildArguments: {},
  architecture: 'amd64',
  knowsHeredocs: false,
  certificates: false,
  contextDigest: 'abc',
};

function prepare(text: string, surroundings: Partial<Surroundings> = {}): PreparedDockerfile {
  return prepareDockerfile(text, { ...here, ...surroundings });
}

/** A variable in braces. */
const braced = (inner: string): string => `$\{${inner}}`;

/** Lines that the builder gets, without the directive before them. */
function lines(text: string, surroundings: Partial<Surroundings> = {}): readonly string[] {
  return prepare(text, surroundings).text.trimEnd().split('\n').slice(1);
}

function refusal(text: string, surroundings: Partial<Surroundings> = {}): string {
  try {
    prepare(text, surroundings);
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
  return assert.fail(`taken: ${text}`);
}

test('comments go, continued lines are joined, and everything else stays', () => {
  const text = `\uFEFF# a comment
# syntax=docker/dockerfile:1
from dormouse/debian:12 as base\r
RUN echo a \\
# in between

  && echo 'b  c' \\ \t
  # and again
  && echo d
CMD ["sh", "-c", "true"]
`;
  assert.deepEqual(lines(text), [
    'FROM dormouse/debian:12 AS base',
    "RUN echo a   && echo 'b  c'   && echo d",
    'CMD ["sh", "-c", "true"]',
  ]);
});

test('another escape character is kept', () => {
  assert.deepEqual(prepare('# escape=`\nFROM scratch\nRUN a `\n b \\\n').text.split('\n'), [
    '# escape=`',
    'FROM scratch',
    'RUN a  b \\',
    '',
  ]);
  assert.match(refusal('FROM scratch\nRUN a \\\\'), /Line 2 .*ends with/);
});

test('what is no instruction is named with its line', () => {
  assert.match(
    refusal('FROM scratch\n\nRUNN true\n'),
    /Line 3 of the Dockerfile: Unknown instruction: "RUNN"/,
  );
});

describe('images', () => {
  const from = (image: string): readonly string[] => lines(`FROM ${image}`);

  it('are stages, dormouse/… or names in a registry', () => {
    for (const name of [
      'dormouse/python:3.11',
      'localhost/dormouse/python:3.11',
      'debian',
      'library/debian:12',
      'localhost:5000/x',
      'registry.example.com/a/b:1',
      `debian@sha256:${'0'.repeat(64)}`,
    ]) {
      assert.deepEqual(from(name), [`FROM ${name}`]);
    }
  });

  it('are never ids, files, or what builds of other images have made', () => {
    assert.deepEqual(from('3'), ['FROM docker.io/library/3']);
    assert.deepEqual(from('cafe:1'), ['FROM docker.io/library/cafe:1']);
    assert.deepEqual(from('sha256:0'), ['FROM docker.io/library/sha256:0']);
    assert.deepEqual(from('docker:24'), ['FROM docker.io/library/docker:24']);
    for (const name of [
      'localhost/dormouse-image:latest',
      'localhost/other',
      'dir:/etc',
      'oci-archive:/tmp/x.tar',
      `@sha256:${'0'.repeat(64)}`,
      '/etc',
      '../x',
    ]) {
      assert.match(refusal(`FROM ${name}`), /names? no|neither a stage above/, name);
    }
  });

  it('are named by arguments that stand before the first stage', () => {
    const base = `ARG V=12\nARG BASE=dormouse/debian:${braced('V')}\nARG V=13\n`;
    const text = `${base}FROM $BASE\nFROM "${braced('NONE:-scratch')}"\n`;
    assert.deepEqual(lines(text).slice(3), ['FROM dormouse/debian:12', 'FROM scratch']);
    assert.equal(lines(text, { buildArguments: { BASE: 'ab12' } }).at(-2), 'FROM docker.io/library/ab12');
    assert.match(refusal(`FROM ${braced('A%b')}`), /names no image/);
    assert.match(refusal('FROM $NONE'), /names no image/);
  });

  it('of another platform are those of the host, and the log says so', () => {
    const other = prepare(
      'FROM --platform=linux/arm64 dormouse/debian:12\nFROM --platform=$BUILDPLATFORM scratch\n',
    );
    assert.match(other.text, /\nFROM dormouse\/debian:12\nFROM scratch\n/);
    assert.deepEqual(other.notes, [
      'Line 1 of the Dockerfile: built for linux/amd64, as this host is, and not for linux/arm64.',
    ]);
  });

  it('that files are copied from are stages above or names, too', () => {
    const text = (source: string) =>
      `FROM scratch AS One\nFROM scratch\nCOPY --from=${source} --chown=1:2 /a /b\n`;
    assert.equal(lines(text('one')).at(-1), 'COPY --from=one --chown=1:2 /a /b');
    assert.equal(lines(text('0')).at(-1), 'COPY --from=0 --chown=1:2 /a /b');
    assert.equal(lines(text('1')).at(-1), 'COPY --from=docker.io/library/1 --chown=1:2 /a /b');
    assert.match(refusal(text('$X')), /Line 3 .*variable/);
    assert.equal(
      lines('FROM scratch\nONBUILD COPY --from=dead /v /v\n'.replace('dead', 'debian')).at(-1),
      'ONBUILD COPY --from=debian /v /v',
    );
    assert.match(refusal('FROM scratch\nONBUILD COPY --from=dead /v /v\n'), /Line 2 /);
  });
});

describe('mounts of RUN', () => {
  const run = (mount: string): readonly string[] =>
    lines(`FROM scratch AS one\nFROM scratch\nRUN --mount=${mount} true\n`).slice(2);

  it('of a cache have an id that leads nowhere', () => {
    const [named] = run('type=cache,target=/c,id=../../x,sharing=locked');
    assert.match(named ?? '', /^RUN --mount=type=cache,target=\/c,sharing=locked,id=[0-9a-f]{64} true$/);
    assert.notEqual(run('type=cache,target=/a')[0], run('type=cache,target=/b')[0]);
    assert.match(refusal('FROM scratch\nRUN --mount=type=cache,target=/c,source=/x true'), /begins empty/);
  });

  it('of the context and of stages are read only, whole, and part of what a step is known by', () => {
    assert.deepEqual(run('type=bind,from=one,target=/one'), [
      'ARG DORMOUSE_CONTEXT=abc',
      'RUN --mount=type=bind,from=one,target=/one true',
    ]);
    const mounted = prepare('FROM scratch\nRUN --mount=source=src,target=/src true');
    assert.deepEqual(mounted.mounted, [{ path: 'src', line: 2 }]);
    for (const mount of [
      'target=/x,rw',
      'type=bind,from=one,source=/link,target=/x',
      'source=../x,target=/x',
      'type=tmpfs,target=/a/../../b',
      'type=$T,target=/x',
      '"type=bind",target=/x',
      'target=/x,target=/y',
    ]) {
      assert.match(refusal(`FROM scratch AS one\nRUN --mount=${mount} true`), /Line 2 .*--mount=/, mount);
    }
    assert.deepEqual(run('type=secret,id=token,target=/t'), [
      'RUN --mount=type=secret,id=token,target=/t true',
    ]);
  });
});

test('arguments of the build are handed over by names that hold no value', () => {
  const buildArguments = { TOKEN: 'hush "now"', UNUSED: 'x' };
  const { text, variables, notes } = prepare('FROM scratch\nARG A="b c" TOKEN=none\nRUN $TOKEN\n', {
    buildArguments,
  });
  assert.deepEqual(text.trimEnd().split('\n').slice(1), [
    'FROM scratch',
    'ARG A="b c"',
    'ARG DORMOUSE_ARGUMENT_0',
    `ARG TOKEN=${braced('DORMOUSE_ARGUMENT_0')}`,
    'RUN $TOKEN',
  ]);
  assert.deepEqual(variables, { DORMOUSE_ARGUMENT_0: 'hush "now"', DORMOUSE_ARGUMENT_1: 'x' });
  assert.deepEqual(notes, ['The build argument UNUSED is not used: no ARG names it.']);
});

test('stages are found by their names in any case, and so is the one to build', () => {
  const text = 'FROM scratch AS Build\nFROM BUILD AS Next\nCOPY --from=bUILD /a /b\n';
  assert.deepEqual(lines(text), ['FROM scratch AS build', 'FROM build AS next', 'COPY --from=build /a /b']);
});

test('what runs in a shell runs in that of SHELL, of the stage below, too', () => {
  const text = `FROM scratch AS a
CMD one
SHELL ["bash", "-c"]
FROM a AS b
CMD two "2"
ENTRYPOINT ["three"]
FROM scratch
CMD four
`;
  const commands = lines(text).filter((line) => /^(?:CMD|ENTRYPOINT)/.test(line));
  assert.deepEqual(commands, [
    'CMD one',
    'CMD ["bash","-c","two \\"2\\""]',
    'ENTRYPOINT ["three"]',
    'CMD four',
  ]);
});

test('a volume is a directory', () => {
  assert.deepEqual(lines('FROM scratch\nVOLUME /a $B\nVOLUME ["/with space"]\n').slice(1), [
    'COPY --from=dormouse-volume ["/","/a"]',
    'COPY --from=dormouse-volume ["/","$B"]',
    'COPY --from=dormouse-volume ["/","/with space"]',
  ]);
});

describe('here-documents', () => {
  const text = `FROM scratch
COPY <<EOF <<-'TWO' /dir/
FROM not-an-instruction
EOF
\tx
\tTWO
RUN echo "1 <<EOF 2" $((1 << 2)) <<<word
`;
  it('stay as they are where the builder reads them', () => {
    assert.deepEqual(lines(text, { knowsHeredocs: true }), text.trimEnd().split('\n'));
  });

  it('are refused with a hint where it does not, and so is one without an end', () => {
    assert.match(refusal(text), /Line 2 .*Here-documents \(COPY <<…\) need buildah 1\.35/);
    assert.match(refusal('FROM scratch\nRUN cat <<EOF\nx\n', { knowsHeredocs: true }), /<<EOF has no end/);
  });
});

test('steps see the certificates of the builder, and the image does not', () => {
  const [, names = '', run] = lines('FROM scratch\nRUN make\n', { certificates: true });
  assert.match(names, /^ARG SSL_CERT_FILE=\/run\/dormouse-certificates\.pem .*NODE_EXTRA_CA_CERTS=/);
  assert.equal(
    run,
    'RUN --mount=type=secret,id=dormouse-certificates,target=/run/dormouse-certificates.pem,mode=0444 make',
  );
});
