// What every Node.js program of the client matrix shares: cases, the lines they report, and expectations.
//
// `run` calls the cases in the order of their definition and prints one line for each, fields separated by tabs:
//
//     client  NAME  VERSION
//     ok      CASE
//     failed  CASE  REASON
//
// The server is named by the environment variables of libpq (PGHOST, PGPORT, PGUSER, PGDATABASE).

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');

const cases = [];

/** Adds an asynchronous function to the cases of the program. */
function test(name, work) {
  cases.push({ name, work });
}

/** Fails unless both are equal in value and in type. */
const equal = assert.deepStrictEqual;

/** Fails unless `work` is rejected with the SQLSTATE; returns the error. */
async function rejects(sqlstate, work) {
  try {
    await work;
  } catch (error) {
    const code = error.code ?? error.original?.code;
    if (code !== sqlstate) throw new Error(`expected SQLSTATE ${sqlstate}, found ${code}: ${error.message}`);
    return error;
  }
  throw new Error(`expected SQLSTATE ${sqlstate}, found no error`);
}

/** Where in the program an error was noticed. */
function line(error) {
  const frame = (error.stack ?? '').split('\n').find((text) => text.includes(process.argv[1]));
  return frame ? frame.split(':').at(-2) : '?';
}

/** The version of an installed module. */
function versionOf(name) {
  return JSON.parse(fs.readFileSync(path.join(process.env.NODE_PATH, name, 'package.json'))).version;
}

/** Runs all cases of the program that tests the module `client`; ends it with 1 if one failed. */
async function run(client) {
  console.log(['client', client, versionOf(client)].join('\t'));
  let failed = false;
  for (const { name, work } of cases) {
    try {
      await work();
      console.log(['ok', name].join('\t'));
    } catch (error) {
      failed = true;
      const reason = `line ${line(error)}: ${error.message}`.split(/\s+/).join(' ');
      console.log(['failed', name, reason].join('\t'));
    }
  }
  process.exit(failed ? 1 : 0);
}

module.exports = { test, equal, rejects, run };
