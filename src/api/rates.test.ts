import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '../errors.ts';
import { chooseRates, createThrottle, ratesOf } from './rates.ts';

test('lets as many calls through as the rate says, at once and over time', () => {
  let now = 0;
  const throttle = createThrottle({ RunMicrovm: 5 }, { now: () => now });
  const accepted = (calls: number): number => {
    let count = 0;
    for (let call = 0; call < calls; call += 1) {
      try {
        throttle('RunMicrovm');
        count += 1;
      } catch (error) {
        assert(error instanceof ServiceError);
        assert.deepEqual([error.code, error.message], ['ThrottlingException', 'Rate exceeded']);
      }
    }
    return count;
  };
  assert.equal(accepted(20), 5);
  now += 190;
  assert.equal(accepted(1), 0);
  now += 10;
  assert.equal(accepted(2), 1);
  now += 60_000;
  assert.equal(accepted(20), 5);
  now -= 60_000;
  assert.equal(accepted(1), 0);
});

test('says when to come back', () => {
  const throttle = createThrottle({ SuspendMicrovm: 2 }, { now: () => 0 });
  throttle('SuspendMicrovm');
  throttle('SuspendMicrovm');
  assert.throws(() => throttle('SuspendMicrovm'), { retryAfterSeconds: 0.5 });
});

test('does not limit what has no rate', () => {
  const throttle = createThrottle(ratesOf.aws, { now: () => 0 });
  for (let call = 0; call < 1000; call += 1) throttle('ListMicrovms');
});

test('takes one call in so many seconds where the rate is below one', () => {
  let now = 0;
  const throttle = createThrottle({ UpdateMicrovmImage: 0.1 }, { now: () => now });
  throttle('UpdateMicrovmImage');
  assert.throws(() => throttle('UpdateMicrovmImage'), { retryAfterSeconds: 10 });
  now += 10_000;
  throttle('UpdateMicrovmImage');
});

test('rates of a profile can be replaced and lifted, one by one, by their right names', () => {
  const operations = new Set([...Object.keys(ratesOf.aws), 'ListMicrovms']);
  const rates = chooseRates('aws', { RunMicrovm: 50, GetMicrovm: null, ListMicrovms: 0.5 }, operations);
  assert.equal(rates.RunMicrovm, 50);
  assert.equal(rates.ListMicrovms, 0.5);
  assert.equal(rates.SuspendMicrovm, ratesOf.aws.SuspendMicrovm);
  assert.ok(!('GetMicrovm' in rates));
  assert.throws(() => chooseRates('aws', { RunMicroVM: 5 }, operations), /no operation RunMicroVM/);
});
