import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { builderComplaint } from './builder-complaint.ts';

describe('what a builder complains of', () => {
  it('is its own last line', () => {
    const said =
      'time="…" level=warning msg="x"\nError: building at STEP "COPY a b": no space left on device\n';
    assert.equal(builderComplaint(said), 'Error: building at STEP: no space left on device');
  });

  it('is nothing that a step printed', () => {
    const said =
      'cp: No space left on device\nError: No space left on device\n' +
      'Error: building at STEP "RUN cp a b": while running runtime: exit status 1\n';
    assert.doesNotMatch(builderComplaint(said), /no space left/i);
  });

  it('is nothing that the step itself says', () => {
    const said =
      'Error: building at STEP "RUN echo \\"No space left on device\\"; false": while running runtime: exit status 1';
    assert.equal(builderComplaint(said), 'Error: building at STEP: while running runtime: exit status 1');
    assert.equal(builderComplaint('no space left on device'), '');
  });
});
