"""asyncpg: every value binary, every parameter as the server describes it, cursors as portals, binary COPY."""

import asyncio
import datetime
import decimal
import functools
import io
import uuid

import asyncpg

import report
from report import equal

UTC = datetime.timezone.utc


def connect(**options):
    return asyncpg.connect(host=report.HOST, port=report.PORT, user=report.USER, database=report.DATABASE, **options)


def raises(sqlstate):
    return report.raises(asyncpg.PostgresError, sqlstate, lambda error: error.sqlstate)


def case(function):
    """A case that is a coroutine function with a connection of its own."""

    @functools.wraps(function)
    def run():
        async def connected():
            connection = await connect()
            try:
                await asyncio.wait_for(function(connection), 60)
            finally:
                connection.terminate()

        asyncio.run(connected())

    return report.case(run)


async def setup():
    c = await connect()
    await c.execute("CREATE TABLE item (id int8 PRIMARY KEY, name text NOT NULL, n int4, at timestamptz, tags text[])")
    await c.execute("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE felt (id int PRIMARY KEY, m mood, ms mood[])")
    await c.close()


VALUES = [
    ("bool", True), ("int2", -32768), ("int4", -(2**31)), ("int8", -(2**63)), ("float4", 0.25), ("float8", -0.1),
    ("numeric", decimal.Decimal("12345.678900")), ("numeric", decimal.Decimal("-1E-20")), ("text", "x\u00e9\U0001f642"),
    ("varchar", "v"), ("bytea", b"\x00\x01\xff"), ("date", datetime.date(1, 1, 1)), ("time", datetime.time(12, 0, 0, 1)),
    ("timestamp", datetime.datetime(1970, 1, 1, 0, 0, 0, 1)), ("oid", 4294967295),
    ("timestamptz", datetime.datetime(2024, 6, 30, 12, tzinfo=UTC)), ("interval", datetime.timedelta(days=2, seconds=3)),
    ("uuid", uuid.UUID(int=5)), ("json", '{"a":  1}'), ("jsonb", '{"a": [1, null]}'),
    ("int4[]", [1, None, 3]), ("int4[]", [[1, 2], [3, 4]]), ("text[]", ["a", "", "NULL"]), ("float8[]", [1.5]),
    ("numeric[]", [decimal.Decimal("1.10")]), ("timestamp[]", [datetime.datetime(2000, 1, 1)]), ("jsonb[]", ["[1]"]),
    ("bool[]", []), ("bytea[]", [b"", b"\x00"]), ("uuid[]", [uuid.UUID(int=5), None]), ("date", datetime.date.max),
]


@case
async def values_come_back_as_they_went(c):
    for name, value in VALUES:
        found = await c.fetchval(f"SELECT $1::{name}", value)
        equal(uuid.UUID(str(found)) if name == "uuid" else found, value)
        equal(await c.fetchval(f"SELECT $1::{name}", None), None)


@case
async def statements_are_described(c):
    s = await c.prepare("SELECT id, name || $2, n + $1, at, tags FROM item WHERE id = ANY($3) AND at > $4 LIMIT $5")
    equal([p.name for p in s.get_parameters()], ["int4", "text", "int8[]", "timestamptz", "int8"])
    equal([(a.name, a.type.name) for a in s.get_attributes()],
          [("id", "int8"), ("?column?", "text"), ("?column?", "int4"), ("at", "timestamptz"), ("tags", "text[]")])
    equal(await s.fetch(1, "x", [1], datetime.datetime.now(UTC), 1), [])
    with raises("42P18"):
        await c.prepare("SELECT pg_typeof($1)")
    s = await c.prepare("INSERT INTO item (id, name, at) VALUES ($1, $2, $3)")
    equal([p.name for p in s.get_parameters()], ["int8", "text", "timestamptz"])
    equal(s.get_attributes(), ())


@case
async def wrong_values_are_refused_before_they_are_sent(c):
    try:
        await c.fetchval("SELECT $1::int4", "one")
    except asyncpg.DataError:
        pass
    else:
        raise AssertionError("a text was taken for an int4")
    equal(await c.fetchval("SELECT $1::int4", 1), 1)


@case
async def tags_and_transactions(c):
    equal(await c.execute("INSERT INTO item VALUES (1, 'a'), (2, 'b')"), "INSERT 0 2")
    equal(await c.execute("UPDATE item SET n = $1 WHERE id < $2", 5, 10), "UPDATE 2")
    equal(await c.execute("DELETE FROM item WHERE id = 2"), "DELETE 1")
    async with c.transaction(isolation="repeatable_read"):
        await c.execute("INSERT INTO item VALUES (3, 'c')")
        with raises("23505"):
            async with c.transaction():
                await c.execute("INSERT INTO item VALUES (4, 'd')")
                await c.execute("INSERT INTO item VALUES (1, 'again')")
        equal(c.is_in_transaction(), True)
    equal([r["id"] for r in await c.fetch("SELECT id FROM item ORDER BY id")], [1, 3])
    with raises("25006"):
        async with c.transaction(readonly=True):
            await c.execute("DELETE FROM item")
    equal(c.is_in_transaction(), False)
    await c.execute("DELETE FROM item")


@case
async def errors_carry_their_fields(c):
    await c.execute("INSERT INTO item VALUES (1, 'a')")
    with raises("23505") as caught:
        await c.execute("INSERT INTO item (id, name) VALUES ($1, $2)", 1, "b")
    e = caught[0]
    equal((e.constraint_name, e.table_name, e.schema_name, e.detail),
          ("item_pkey", "item", "public", "Key (id)=(1) already exists."))
    with raises("23502") as caught:
        await c.execute("INSERT INTO item (id) VALUES (9)")
    equal(caught[0].column_name, "name")
    with raises("42P01") as caught:
        await c.fetch("SELECT * FROM nosuch")
    equal(caught[0].position, "15")
    with raises("42601"):
        await c.prepare("SELECT 1; SELECT 2")
    await c.execute("DELETE FROM item")


@case
async def cursors_and_several_portals(c):
    async with c.transaction():
        found = [r[0] async for r in c.cursor("SELECT g FROM generate_series(1, $1::int) g", 120, prefetch=50)]
        equal(found, list(range(1, 121)))
        first = await c.cursor("SELECT g FROM generate_series(1, 10) g")
        second = await c.cursor("SELECT g * 10 FROM generate_series(1, 10) g")
        equal([r[0] for r in await first.fetch(2)], [1, 2])
        equal([r[0] for r in await second.fetch(2)], [10, 20])
        equal(await first.forward(3), 3)
        equal((await first.fetchrow())[0], 6)
        equal((await second.fetchrow())[0], 30)


@case
async def many_rows_in_one_go(c):
    rows = [(n, f"name {n}", n % 7, datetime.datetime(2024, 1, 1, tzinfo=UTC), [str(n)]) for n in range(500)]
    await c.executemany("INSERT INTO item VALUES ($1, $2, $3, $4, $5)", rows)
    equal(await c.fetchval("SELECT sum(n) FROM item"), sum(n % 7 for n in range(500)))
    with raises("23505"):
        await c.executemany("INSERT INTO item (id, name) VALUES ($1, $2)", [(600, "a"), (1, "b"), (601, "c")])
    equal(await c.fetchval("SELECT count(*) FROM item WHERE id >= 600"), 0)
    await c.execute("TRUNCATE item")


@case
async def binary_copy(c):
    at = datetime.datetime(2024, 1, 1, tzinfo=UTC)
    rows = [(n, f"copy {n}", None, at, ["t", None]) for n in range(300)]
    equal(await c.copy_records_to_table("item", records=rows), "COPY 300")
    out = io.BytesIO()
    equal(await c.copy_from_query("SELECT id, name FROM item WHERE id < $1 ORDER BY id", 2, output=out, format="csv"), "COPY 2")
    equal(out.getvalue(), b"0,copy 0\n1,copy 1\n")
    out = io.BytesIO()
    await c.copy_from_table("item", columns=["id", "n"], output=out, format="binary")
    equal((out.getvalue()[:11], len(out.getvalue())), (b"PGCOPY\n\xff\r\n\x00", 19 + 300 * 18 + 2))
    with raises("23505"):
        await c.copy_records_to_table("item", records=rows[:1])
    await c.execute("TRUNCATE item")


@case
async def types_are_introspected(c):
    await c.execute("INSERT INTO felt VALUES ($1, $2, $3)", 1, "happy", ["sad", "happy"])
    equal(tuple(await c.fetchrow("SELECT m, ms FROM felt")), ("happy", ["sad", "happy"]))
    with raises("22P02"):
        await c.execute("INSERT INTO felt VALUES (2, $1)", "bored")
    await c.set_type_codec("jsonb", encoder=str, decoder=lambda text: ("decoded", text), schema="pg_catalog")
    equal(await c.fetchval("SELECT '[1]'::jsonb"), ("decoded", "[1]"))


@case
async def notifications_while_idle(c):
    other = await connect()
    queue = asyncio.Queue()
    await c.add_listener("feed", lambda _, pid, channel, payload: queue.put_nowait((pid, channel, payload)))
    await other.execute("SELECT pg_notify('feed', $1)", "hello")
    equal(await asyncio.wait_for(queue.get(), 30), (other.get_server_pid(), "feed", "hello"))
    await other.close()
    await c.reset()


@case
async def timeouts_cancel_the_statement(c):
    try:
        await c.fetch("SELECT pg_sleep(60)", timeout=0.2)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("no timeout")
    equal(await c.fetchval("SELECT 1"), 1)


@case
async def a_pool_resets_its_connections(c):
    options = dict(host=report.HOST, port=report.PORT, user=report.USER, database=report.DATABASE)
    async with asyncpg.create_pool(min_size=2, max_size=2, **options) as pool:
        async def work(n):
            async with pool.acquire() as p:
                await p.execute("SET search_path = pg_catalog")
                return await p.fetchval("SELECT $1::int * 2", n)

        equal(await asyncio.gather(*(work(n) for n in range(20))), [n * 2 for n in range(20)])
        equal(await pool.fetchval("SHOW search_path"), '"$user", public')


@case
async def settings_are_tracked(c):
    equal(c.get_server_version()[0], 15)
    equal(c.get_settings().server_encoding, "UTF8")
    await c.execute("SET application_name = 'matrix'")
    equal(c.get_settings().application_name, "matrix")


asyncio.run(setup())
report.run("asyncpg", asyncpg.__version__)
