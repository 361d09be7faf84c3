"""psycopg 3: the extended protocol, text and binary, statements prepared by the driver, pipelines and COPY."""

import datetime
import decimal
import threading
import uuid

import psycopg
from psycopg import pq, sql
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
import enum

import report
from report import case, equal

CONNINFO = f"host={report.HOST} port={report.PORT} user={report.USER} dbname={report.DATABASE}"
UTC = datetime.timezone.utc


def connect(**options):
    return psycopg.connect(CONNINFO, **options)


def raises(sqlstate):
    return report.raises(psycopg.Error, sqlstate, lambda error: error.sqlstate)


def setup():
    with connect() as c:
        c.execute("CREATE TABLE item (id int8 PRIMARY KEY, name text NOT NULL, n int4, tags text[])")


VALUES = [
    ("bool", False), ("int2", 7), ("int4", -(2**31)), ("int8", 2**62), ("float8", 2.5), ("float4", 0.5),
    ("numeric", decimal.Decimal("0.0000000001")), ("numeric", decimal.Decimal("-99999999999999999999")),
    ("text", "línea\n'"), ("bytea", bytes(range(256))), ("date", datetime.date(9999, 12, 31)),
    ("time", datetime.time(0, 0, 0, 1)), ("timestamp", datetime.datetime(1999, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz", datetime.datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)),
    ("interval", datetime.timedelta(days=400, seconds=1, microseconds=1)),
    ("uuid", uuid.UUID(int=2**128 - 1)), ("int8[]", [2**40, None]), ("text[]", ["", "{}", "a\\b"]),
    ("jsonb", {"k": [1.5, None, True, "é"]}), ("uuid[]", [uuid.UUID(int=1)]),
    ("date[]", [datetime.date(2000, 1, 1)]), ("timestamptz[]", [datetime.datetime(2000, 1, 1, tzinfo=UTC)]),
]


@case
def values_in_both_formats():
    with connect(options="-c timezone=UTC") as c:
        for name, value in VALUES:
            sent = Jsonb(value) if name == "jsonb" else value
            for marker in ("%t", "%b"):
                for binary in (False, True):
                    cur = c.execute(f"SELECT {marker}::{name}, NULL::{name}", (sent,), binary=binary)
                    found = cur.fetchone()
                    if isinstance(value, datetime.datetime) and value.tzinfo:
                        found = (found[0].astimezone(UTC), found[1])
                    equal(found, (value, None))


@case
def parameters_without_a_type():
    with connect() as c:
        equal(c.execute("SELECT %s + 1, %s || 'x', %s = ANY(%s)", (1, "a", 3, [1, 2, 3])).fetchone(), (2, "ax", True))
        equal(c.execute("SELECT coalesce(%s, 'none')", (None,)).fetchone(), ("none",))
        equal(c.execute("SELECT %s::int4 IS NULL", (None,)).fetchone(), (True,))
        with raises("42P18"):
            c.execute("SELECT pg_typeof(%s)", (None,))
        c.rollback()
        with raises("42883"):
            c.execute("SELECT length(%s)", (5,))


@case
def statements_are_prepared_after_five_uses():
    with connect() as c:
        for n in range(8):
            equal(c.execute("SELECT %s::int + 1", (n,)).fetchone(), (n + 1,))
        names = c.execute("SELECT name, from_sql FROM pg_prepared_statements").fetchall()
        equal([(n.startswith("_pg3_"), s) for n, s in names], [(True, False)])
        c.execute("CREATE TABLE shape (a int)")
        for n in range(7):
            c.execute("SELECT * FROM shape", prepare=True)
        c.commit()
        with connect() as other:
            other.execute("ALTER TABLE shape ADD b int")
        with raises("0A000") as caught:
            c.execute("SELECT * FROM shape")
        equal(caught[0].diag.message_primary, "cached plan must not change result type")
        c.rollback()
        equal(len(c.execute("SELECT * FROM shape", prepare=False).description), 2)
        c.execute("DEALLOCATE ALL")


@case
def tags_states_and_descriptions():
    with connect() as c:
        equal(c.info.transaction_status, pq.TransactionStatus.IDLE)
        cur = c.execute("INSERT INTO item VALUES (1, 'one', 1, '{a}'), (2, 'two', NULL, NULL) RETURNING id, name")
        equal((cur.statusmessage, cur.rowcount, cur.fetchall()), ("INSERT 0 2", 2, [(1, "one"), (2, "two")]))
        equal(c.info.transaction_status, pq.TransactionStatus.INTRANS)
        equal([(d.name, d.type_code) for d in cur.description], [("id", 20), ("name", 25)])
        cur = c.execute("UPDATE item SET n = n + 1 WHERE n IS NOT NULL")
        equal((cur.statusmessage, cur.description), ("UPDATE 1", None))
        with raises("23505"):
            c.execute("INSERT INTO item VALUES (1, 'x')")
        equal(c.info.transaction_status, pq.TransactionStatus.INERROR)
        c.rollback()


@case
def nested_transactions():
    with connect(autocommit=True) as c:
        with c.transaction():
            c.execute("INSERT INTO item VALUES (10, 'outer')")
            try:
                with c.transaction():
                    c.execute("INSERT INTO item VALUES (11, 'inner')")
                    raise ValueError
            except ValueError:
                pass
            with c.transaction():
                c.execute("INSERT INTO item VALUES (12, 'second')")
        equal(c.execute("SELECT array_agg(id ORDER BY id) FROM item").fetchone(), ([10, 12],))
        c.execute("DELETE FROM item")


@case
def executemany_and_returning():
    with connect() as c, c.cursor() as cur:
        rows = [(n, f"row {n}", n % 3, [str(n)]) for n in range(100, 200)]
        cur.executemany("INSERT INTO item VALUES (%s, %s, %s, %s)", rows)
        equal(cur.rowcount, 100)
        cur.executemany("UPDATE item SET n = n + 1 WHERE id = %s RETURNING n", [(100,), (101,)], returning=True)
        equal(cur.fetchone(), (2,))
        equal(cur.nextset(), True)
        equal(cur.fetchone(), (3,))
        c.rollback()


@case
def pipelines_stop_at_an_error():
    with connect() as c:
        with c.pipeline():
            cursors = [c.execute("SELECT %s::text", (str(n),)) for n in range(50)]
            equal([cur.fetchone()[0] for cur in cursors], [str(n) for n in range(50)])
        c.commit()
        c.autocommit = True
        with raises("22012"):
            with c.pipeline() as p:
                c.execute("INSERT INTO item VALUES (300, 'undone')")
                c.execute("SELECT 1/0")
                c.execute("INSERT INTO item VALUES (301, 'skipped')")
                p.sync()
        equal(c.execute("SELECT count(*) FROM item WHERE id IN (300, 301)").fetchone(), (0,))
        with c.pipeline() as p:
            c.execute("INSERT INTO item VALUES (302, 'first')")
            p.sync()
            c.execute("INSERT INTO item VALUES (303, 'second')")
        equal(c.execute("DELETE FROM item WHERE id IN (302, 303)").rowcount, 2)


@case
def copy_text_and_binary():
    with connect() as c, c.cursor() as cur:
        with cur.copy("COPY item (id, name, n) FROM STDIN") as copy:
            for n in range(1000, 1200):
                copy.write_row((n, f"t\t{n}\\", None if n % 2 else n))
        equal(cur.statusmessage, "COPY 200")
        with cur.copy("COPY item FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "text", "int4", "text[]"])
            copy.write_row((1200, "binary", 5, ["x", None]))
        with cur.copy("COPY (SELECT id, name, tags FROM item WHERE id > 1198 ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "text", "text[]"])
            equal(list(copy.rows()), [(1199, "t\t1199\\", None), (1200, "binary", ["x", None])])
    with connect() as c:
        try:
            with c.cursor().copy("COPY item (id, name) FROM STDIN") as copy:
                copy.write_row((5000, "x"))
                raise ValueError("the client gave up")
        except ValueError:
            pass
        equal(c.info.transaction_status, pq.TransactionStatus.INERROR)


@case
def server_cursors():
    with connect() as c:
        with c.cursor("many") as cur:
            cur.itersize = 10
            cur.execute("SELECT g FROM generate_series(1, %s) AS g", (95,))
            equal(sum(row[0] for row in cur), 95 * 96 // 2)
        with c.cursor("scroll", scrollable=True) as cur:
            cur.execute("SELECT g FROM generate_series(1, 9) AS g")
            cur.scroll(4)
            equal(cur.fetchone(), (5,))
            cur.scroll(-2)
            equal(cur.fetchone(), (4,))
        with c.cursor("binary") as cur:
            cur.execute("SELECT g::int8, 'x'::text FROM generate_series(1, 3) AS g", binary=True)
            equal(cur.fetchmany(2), [(1, "x"), (2, "x")])


@case
def types_are_looked_up():
    class Mood(enum.Enum):
        SAD = "sad"
        HAPPY = "happy"

    with connect() as c:
        c.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
        info = EnumInfo.fetch(c, "mood")
        equal(list(info.labels), ["sad", "happy"])
        register_enum(info, c, Mood, mapping={m: m.value for m in Mood})
        equal(c.execute("SELECT %s::mood, 'sad'::mood", (Mood.HAPPY,), binary=True).fetchone(), (Mood.HAPPY, Mood.SAD))
        equal(c.execute("SELECT 'happy'::mood > 'sad'::mood").fetchone(), (True,))
        info = TypeInfo.fetch(c, "jsonb")
        equal((info.oid, info.array_oid, info.regtype), (3802, 3807, "jsonb"))
        equal(TypeInfo.fetch(c, "nosuch"), None)


@case
def notifications_while_idle():
    with connect(autocommit=True) as listener, connect(autocommit=True) as sender:
        listener.execute("LISTEN jobs")
        sender.execute("NOTIFY jobs, 'wake'")
        sender.execute("SELECT pg_notify(%s, %s)", ("jobs", "up"))
        found = list(listener.notifies(timeout=30, stop_after=2))
        equal([(n.channel, n.payload, n.pid) for n in found],
              [("jobs", p, sender.info.backend_pid) for p in ("wake", "up")])


@case
def cancel_ends_a_statement():
    with connect() as c:
        done = threading.Event()

        def cancel():
            while not done.wait(0.05):
                c.cancel_safe()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            with raises("57014") as caught:
                c.execute("SELECT pg_sleep(60)")
            equal(caught[0].diag.message_primary, "canceling statement due to user request")
        finally:
            done.set()
            thread.join()


@case
def errors_carry_their_fields():
    with connect() as c:
        c.execute("CREATE TABLE strict (id int PRIMARY KEY, v int CONSTRAINT positive CHECK (v > 0))")
        c.commit()
        with raises("23514") as caught:
            c.execute("INSERT INTO strict VALUES (%s, %s)", (1, -1))
        diag = caught[0].diag
        equal((diag.constraint_name, diag.table_name, diag.schema_name), ("positive", "strict", "public"))
        equal(diag.message_detail, "Failing row contains (1, -1).")
        c.rollback()
        with raises("42703") as caught:
            c.execute("SELECT idd FROM strict WHERE id = %s", (1,))
        equal(caught[0].diag.statement_position, "8")
        equal(caught[0].diag.message_hint, 'Perhaps you meant to reference the column "strict.id".')


@case
def composed_statements_and_row_factories():
    with connect(row_factory=dict_row) as c:
        c.execute(sql.SQL("CREATE TABLE {} ({} int)").format(sql.Identifier('odd "name"'), sql.Identifier("Col umn")))
        c.execute('INSERT INTO "odd ""name""" VALUES (1)')
        equal(c.execute('SELECT * FROM "odd ""name"""').fetchone(), {"Col umn": 1})
        cur = psycopg.ClientCursor(c)
        cur.execute("SELECT %s AS a, %s AS b, %s AS c", ("it's", [1, 2], datetime.date(2024, 1, 1)))
        equal(cur.fetchone(), {"a": "it's", "b": [1, 2], "c": datetime.date(2024, 1, 1)})


@case
def a_pool_resets_its_connections():
    def reset(c):
        c.autocommit = True
        c.execute("DISCARD ALL")
        c.autocommit = False

    with ConnectionPool(CONNINFO, min_size=1, max_size=1, reset=reset, check=ConnectionPool.check_connection) as pool:
        with pool.connection() as c:
            pid = c.info.backend_pid
            c.execute("SET search_path = pg_catalog")
        with pool.connection() as c:
            equal(c.info.backend_pid, pid)
            equal(c.execute("SHOW search_path").fetchone(), ('"$user", public',))


setup()
report.run("psycopg", psycopg.__version__)
