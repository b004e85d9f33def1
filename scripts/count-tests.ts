/**
 * Closes a CI run: prints "N passed, N failed" from vitest's report as the last line. Fails when a test failed, when none
 * passed, and when none of those that need a server passed: a suite that skipped itself is no pass.
 */
import { readFileSync } from 'node:fs';

interface Report {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

const NO_REPORT: Report = {
  success: false,
  numPassedTests: 0,
  numFailedTests: 0,
  testResults: [],
};

const report = readReport(process.argv[2] ?? '');
const withServers = report.testResults
  .filter(({ name }) => name.includes('/test/integration/'))
  .flatMap(({ assertionResults }) => assertionResults)
  .filter(({ status }) => status === 'passed');

if (withServers.length === 0) console.log('!!! no test ran against a real server');
// A file that does not load, or a failing hook, fails the run without failing a test.
const failed = Math.max(report.numFailedTests, report.success && withServers.length > 0 ? 0 : 1);
console.log(`${report.numPassedTests} passed, ${failed} failed`);
process.exitCode = failed === 0 && report.numPassedTests > 0 ? 0 : 1;

function readReport(path: string): Report {
  try {
    // vitest writes this file itself, in the format of jest's --json.
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch (error) {
    console.log(`!!! there is no report of the tests: ${String(error)}`);
    return NO_REPORT;
  }
}
