// node-pg with pg-cursor and pg-copy-streams: unnamed and named statements, text results, cursors by Flush, COPY streams.

const { once } = require('node:events');
const { pipeline } = require('node:stream/promises');
const { Readable, Writable } = require('node:stream');

const pg = require('pg');
const Cursor = require('pg-cursor');
const copy = require('pg-copy-streams');

const { test, equal, rejects, run } = require('./report.js');

/** Runs `work` with a client of its own. */
async function withClient(work) {
  const client = new pg.Client();
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

test('values_come_back_as_they_went', () => withClient(async (c) => {
  const at = new Date('2024-02-29T23:59:59.123Z');
  const values = [
    ['bool', true], ['int2', -32768], ['int4', 2147483647], ['int8', '-9223372036854775808'], ['float8', 0.1],
    ['float4', 0.5], ['numeric', '12345678901234567890.0001'], ['text', 'é 🙂 \n\t\\ \''], ['varchar', ''],
    ['bytea', Buffer.from([0, 255, 92])], ['timestamptz', at], ['uuid', '00000000-0000-4000-8000-0123456789ab'],
    ['json', { a: [1, null, 'x'] }], ['jsonb', { a: { b: 1.5 } }], ['int4[]', [1, null, 3]],
    ['text[]', ['a,b', 'q"', '', 'NULL', null]], ['int4[]', [[1, 2], [3, 4]]], ['bool[]', [true, false]],
  ];
  for (const [type, value] of values) {
    const { rows } = await c.query(`SELECT $1::${type} AS v, NULL::${type} AS n`, [value]);
    equal(rows, [{ v: value, n: null }]);
  }
  const { rows } = await c.query("SELECT 'NaN'::float8 AS nan, 'Infinity'::float8 AS inf, interval '1 day 02:03:04' AS i");
  equal([rows[0].nan, rows[0].inf, rows[0].i.toPostgres()], [NaN, Infinity, '4 seconds 3 minutes 2 hours 1 days']);
}));

test('results_say_what_they_are', () => withClient(async (c) => {
  await c.query('CREATE TABLE item (id int PRIMARY KEY, name varchar(20) NOT NULL, price numeric(8,2))');
  let result = await c.query("INSERT INTO item VALUES (1, 'a', 1.5), (2, 'b', NULL) RETURNING *");
  equal([result.command, result.rowCount], ['INSERT', 2]);
  equal(result.rows, [{ id: 1, name: 'a', price: '1.50' }, { id: 2, name: 'b', price: null }]);
  equal(result.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeModifier]),
    [['id', 23, -1], ['name', 1043, 24], ['price', 1700, 524294]]);
  result = await c.query({ text: 'SELECT id, id FROM item ORDER BY id', rowMode: 'array' });
  equal([result.command, result.rows], ['SELECT', [[1, 1], [2, 2]]]);
  result = await c.query('UPDATE item SET price = $1 WHERE id = ANY($2)', [3, [1, 2]]);
  equal([result.command, result.rowCount, result.rows], ['UPDATE', 2, []]);
  result = await c.query('SELECT 1 AS a; SELECT 2 AS b; DELETE FROM item');
  equal(result.map((r) => [r.command, r.rows]), [['SELECT', [{ a: 1 }]], ['SELECT', [{ b: 2 }]], ['DELETE', []]]);
  result = await c.query('');
  equal([result.command, result.rows], [null, []]);
}));

test('named_statements_are_kept', () => withClient(async (c) => {
  const query = { name: 'twice', text: 'SELECT $1::int * 2 AS n' };
  for (let n = 0; n < 5; n += 1) equal((await c.query({ ...query, values: [n] })).rows, [{ n: n * 2 }]);
  const { rows } = await c.query('SELECT name, statement, from_sql FROM pg_prepared_statements');
  equal(rows, [{ name: 'twice', statement: query.text, from_sql: false }]);
  await rejects('22P02', c.query({ ...query, values: ['x'] }));
  equal((await c.query({ ...query, values: [7] })).rows, [{ n: 14 }]);
}));

test('errors_carry_their_fields', () => withClient(async (c) => {
  await c.query('CREATE TABLE strict (id int PRIMARY KEY, v int NOT NULL CONSTRAINT positive CHECK (v > 0))');
  await c.query('INSERT INTO strict VALUES (1, 1)');
  let error = await rejects('23505', c.query('INSERT INTO strict VALUES ($1, 1)', [1]));
  equal([error.severity, error.constraint, error.table, error.schema, error.detail],
    ['ERROR', 'strict_pkey', 'strict', 'public', 'Key (id)=(1) already exists.']);
  error = await rejects('23502', c.query('INSERT INTO strict VALUES (2)'));
  equal([error.column, error.table], ['v', 'strict']);
  error = await rejects('23514', c.query('INSERT INTO strict VALUES (2, 0)'));
  equal([error.constraint, error.detail], ['positive', 'Failing row contains (2, 0).']);
  error = await rejects('42P01', c.query('SELECT * FROM nosuch WHERE id = $1', [1]));
  equal(error.position, '15');
  error = await rejects('42601', c.query('SELECT (1 AS one'));
  equal(error.position, '11');
  await rejects('08P01', c.query('SELECT $1::int', [1, 2]));
}));

test('transactions_fail_as_a_whole', () => withClient(async (c) => {
  await c.query('CREATE TABLE tx (id int PRIMARY KEY)');
  await c.query('BEGIN');
  await c.query('INSERT INTO tx VALUES (1)');
  await rejects('23505', c.query('INSERT INTO tx VALUES (1)'));
  await rejects('25P02', c.query('SELECT 1'));
  equal((await c.query('COMMIT')).command, 'ROLLBACK');
  equal((await c.query('SELECT count(*) FROM tx')).rows, [{ count: '0' }]);
  await rejects('22012', c.query('INSERT INTO tx VALUES (2); SELECT 1/0'));
  equal((await c.query('SELECT count(*) FROM tx')).rows, [{ count: '0' }]);
}));

test('queries_are_queued', () => withClient(async (c) => {
  const results = await Promise.all(Array.from({ length: 50 }, (_, n) => c.query('SELECT $1::int AS n', [n])));
  equal(results.map((r) => r.rows[0].n), Array.from({ length: 50 }, (_, n) => n));
}));

test('cursors_read_in_parts', () => withClient(async (c) => {
  const cursor = c.query(new Cursor('SELECT g::int4 FROM generate_series(1, $1::int) g', [25]));
  const found = [];
  for (let rows = await cursor.read(10); rows.length > 0; rows = await cursor.read(10)) {
    found.push(rows.length);
  }
  equal(found, [10, 10, 5]);
  await cursor.close();
  const early = c.query(new Cursor('SELECT g FROM generate_series(1, 1000) g'));
  equal((await early.read(1)).length, 1);
  await early.close();
  equal((await c.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
}));

test('copy_streams', () => withClient(async (c) => {
  await c.query('CREATE TABLE copied (id int PRIMARY KEY, t text)');
  const lines = Array.from({ length: 5000 }, (_, n) => `${n}\trow ${n}\n`);
  const into = c.query(copy.from('COPY copied FROM STDIN'));
  await pipeline(Readable.from(lines), into);
  equal(into.rowCount, 5000);
  const chunks = [];
  const sink = new Writable({ write(chunk, _, done) { chunks.push(chunk); done(); } });
  await pipeline(c.query(copy.to('COPY (SELECT * FROM copied ORDER BY id) TO STDOUT')), sink);
  equal(Buffer.concat(chunks).toString(), lines.join(''));
  const bad = c.query(copy.from('COPY copied FROM STDIN'));
  await rejects('22P02', pipeline(Readable.from(['x\ty\n']), bad));
  equal((await c.query('SELECT count(*) FROM copied')).rows, [{ count: '5000' }]);
}));

test('notifications_while_idle', () => withClient(async (listener) => withClient(async (sender) => {
  await listener.query('LISTEN news');
  const arrived = once(listener, 'notification');
  await sender.query("SELECT pg_notify('news', $1)", ['hello']);
  const [message] = await arrived;
  equal([message.channel, message.payload, message.processId], ['news', 'hello', sender.processID]);
})));

test('notices_are_events', () => withClient(async (c) => {
  const arrived = once(c, 'notice');
  await c.query('DROP TABLE IF EXISTS nosuch');
  const [notice] = await arrived;
  equal([notice.severity, notice.code, notice.message],
    ['NOTICE', '00000', 'table "nosuch" does not exist, skipping']);
}));

test('timeouts_end_statements', async () => {
  const client = new pg.Client({ statement_timeout: 100, application_name: 'matrix' });
  await client.connect();
  await rejects('57014', client.query('SELECT pg_sleep(60)'));
  equal((await client.query('SHOW statement_timeout')).rows, [{ statement_timeout: '100ms' }]);
  equal((await client.query("SELECT current_setting('application_name') AS a")).rows, [{ a: 'matrix' }]);
  await client.end();
});

test('a_pool_shares_connections', async () => {
  const pool = new pg.Pool({ max: 4 });
  await pool.query('CREATE TABLE pooled (id int PRIMARY KEY)');
  await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query('INSERT INTO pooled VALUES ($1)', [n])));
  equal((await pool.query('SELECT count(*)::int AS n FROM pooled')).rows, [{ n: 40 }]);
  equal(pool.totalCount <= 4, true);
  await pool.end();
});

run('pg');
