// postgres.js: every statement described first, pipelined queries, a connection of its own for LISTEN.

const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');

const postgres = require('postgres');

const { test, equal, rejects, run } = require('./report.js');

const sql = postgres({ onnotice: () => {} });

test('values_come_back_as_they_went', async () => {
  const at = new Date('2024-02-29T23:59:59.123Z');
  const [row] = await sql`
    SELECT ${true}::bool AS b, ${5}::int4 AS i, ${'9007199254740993'}::int8 AS big, ${1.5}::float8 AS f,
      ${'1.10'}::numeric AS n, ${'é 🙂'}::text AS t, ${Buffer.from([0, 255])}::bytea AS raw, ${at}::timestamptz AS at,
      ${sql.json({ a: [1, null] })}::jsonb AS j, ${[1, 2, 3]}::int4[] AS a, ${['x', 'y,z']}::text[] AS ta, ${null}::int4 AS nil`;
  equal({ ...row, raw: [...row.raw] }, {
    b: true, i: 5, big: '9007199254740993', f: 1.5, n: '1.10', t: 'é 🙂', raw: [0, 255], at, j: { a: [1, null] },
    a: [1, 2, 3], ta: ['x', 'y,z'], nil: null,
  });
});

test('helpers_build_statements', async () => {
  await sql`CREATE TABLE item (id int PRIMARY KEY, name text, n int)`;
  const rows = Array.from({ length: 100 }, (_, id) => ({ id, name: `name ${id}`, n: id % 5 }));
  const inserted = await sql`INSERT INTO item ${sql(rows, 'id', 'name', 'n')} RETURNING id`;
  equal([inserted.count, inserted.command, inserted.length], [100, 'INSERT', 100]);
  equal((await sql`SELECT id FROM item WHERE id IN ${sql([1, 5, 500])} ORDER BY id`).map((r) => r.id), [1, 5]);
  await sql`UPDATE item SET ${sql({ name: 'new', n: 9 }, 'name', 'n')} WHERE id = 1`;
  equal([...await sql`SELECT * FROM item WHERE id = 1`], [{ id: 1, name: 'new', n: 9 }]);
  equal((await sql`SELECT * FROM ${sql('item')} WHERE n = ${0}`.values())[0], [0, 'name 0', 0]);
});

test('statements_are_described', async () => {
  const { string, types, columns } = await sql`SELECT id, name FROM item WHERE id = ${1} AND name = ${'x'}`.describe();
  equal([string, types], ['SELECT id, name FROM item WHERE id = $1 AND name = $2', [23, 25]]);
  equal(columns.map((c) => [c.name, c.type]), [['id', 23], ['name', 25]]);
});

test('queries_are_pipelined', async () => {
  const found = await Promise.all(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n`));
  equal(found.map((rows) => rows[0].n), Array.from({ length: 200 }, (_, n) => n));
});

test('transactions_and_savepoints', async () => {
  await rejects('23505', sql.begin(async (tx) => {
    await tx`INSERT INTO item (id) VALUES (1000)`;
    await tx`INSERT INTO item (id) VALUES (1000)`;
  }));
  const count = await sql.begin(async (tx) => {
    await tx`INSERT INTO item (id) VALUES (1001)`;
    await tx.savepoint(async (point) => {
      await point`INSERT INTO item (id) VALUES (1002)`;
      throw new Error('undo');
    }).catch(() => {});
    return (await tx`SELECT count(*)::int AS n FROM item WHERE id >= 1000`)[0].n;
  });
  equal(count, 1);
});

test('cursors_read_in_parts', async () => {
  const sizes = [];
  await sql`SELECT g FROM generate_series(1, 25) g`.cursor(10, (rows) => { sizes.push(rows.length); });
  equal(sizes, [10, 10, 5]);
  let seen = 0;
  for await (const [row] of sql`SELECT g FROM generate_series(1, 100) g`.cursor()) {
    seen = row.g;
    if (seen === 3) break;
  }
  equal(seen, 3);
});

test('copy_streams', async () => {
  await sql`CREATE TABLE copied (id int PRIMARY KEY, t text)`;
  await pipeline(Readable.from(['1\ta\n', '2\t\\N\n']), await sql`COPY copied FROM STDIN`.writable());
  let text = '';
  for await (const chunk of await sql`COPY copied TO STDOUT`.readable()) text += chunk;
  equal(text, '1\ta\n2\t\\N\n');
  equal((await sql`SELECT 1 AS one`)[0].one, 1);
});

test('errors_carry_their_fields', async () => {
  const error = await rejects('23505', sql`INSERT INTO item (id) VALUES (${1})`);
  equal([error.constraint_name, error.table_name, error.schema_name, error.severity],
    ['item_pkey', 'item', 'public', 'ERROR']);
  equal((await rejects('42703', sql`SELECT nosuch FROM item`)).position, '8');
});

test('notifications_while_idle', async () => {
  let hear;
  const heard = new Promise((resolve) => { hear = resolve; });
  const { unlisten } = await sql.listen('news', hear);
  await sql.notify('news', 'hello');
  equal(await heard, 'hello');
  await unlisten();
});

test('queries_are_cancelled', async () => {
  const blocker = sql`SELECT pg_sleep(60)`.execute();
  const timer = setInterval(() => blocker.cancel(), 50);
  await rejects('57014', blocker);
  clearInterval(timer);
});

test('several_statements_without_parameters', async () => {
  const results = await sql`SELECT 1 AS a; SELECT 'x;y' AS b`.simple();
  equal(results.map((rows) => ({ ...rows[0] })), [{ a: 1 }, { b: 'x;y' }]);
});

run('postgres');
