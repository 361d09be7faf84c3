"""psycopg2: the simple protocol with client-side parameters, as used by Django, Airflow and most scripts."""

import datetime
import decimal
import io
import select
import threading
import uuid

import psycopg2
import psycopg2.errors
import psycopg2.extensions as ext
import psycopg2.extras
import psycopg2.pool

import report
from report import case, equal

UTC = datetime.timezone.utc


def connect(**options):
    return psycopg2.connect(host=report.HOST, port=report.PORT, user=report.USER, dbname=report.DATABASE, **options)


def raises(sqlstate):
    return report.raises(psycopg2.Error, sqlstate, lambda error: error.pgcode)


def setup():
    with connect() as c, c.cursor() as cur:
        cur.execute("CREATE TABLE account (id int PRIMARY KEY, name varchar(10) NOT NULL UNIQUE, "
                    "balance numeric(10,2) CHECK (balance >= 0), parent int REFERENCES account (id))")
        cur.execute("CREATE TABLE entry (id serial PRIMARY KEY, note text)")


@case
def parameters_of_the_session_are_reported():
    c = connect(application_name="matrix")
    equal(c.server_version // 10000, 15)
    equal(c.encoding, "UTF8")
    equal(c.get_parameter_status("standard_conforming_strings"), "on")
    equal(c.get_parameter_status("DateStyle"), "ISO, MDY")
    equal(c.get_parameter_status("integer_datetimes"), "on")
    equal(c.get_parameter_status("application_name"), "matrix")
    with c.cursor() as cur:
        cur.execute("SET TIME ZONE 'Europe/Paris'")
        equal(c.get_parameter_status("TimeZone"), "Europe/Paris")
    c.rollback()
    equal(c.get_parameter_status("TimeZone") == "Europe/Paris", False)
    c.close()


@case
def values_come_back_as_they_went():
    psycopg2.extras.register_uuid()
    now = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
    values = [
        ("bool", True), ("int2", -32767), ("int4", 2147483647), ("int8", -(2**63) + 1),
        ("float8", 0.1), ("float8", 1e300), ("numeric", decimal.Decimal("-12345678901234567890.000100")),
        ("text", "O'Reilly \\ \n \t é 漢 🙂"), ("varchar", ""), ("bytea", b"\x00\xff'\\"),
        ("date", datetime.date(1, 1, 1)), ("time", datetime.time(23, 59, 59, 999999)),
        ("timestamp", now), ("timestamptz", now.replace(tzinfo=UTC)),
        ("interval", datetime.timedelta(days=-3, seconds=7, microseconds=5)),
        ("uuid", uuid.UUID("00000000-0000-4000-8000-0123456789ab")),
        ("int4[]", [1, None, 3]), ("text[]", ["a,b", 'q"', "", "NULL", None]), ("int4[]", [[1, 2], [3, 4]]),
        ("bool[]", [True, False]), ("numeric[]", [decimal.Decimal("1.50")]),
    ]
    with connect() as c, c.cursor() as cur:
        for name, value in values:
            cur.execute(f"SELECT %s::{name}, NULL::{name}", (value,))
            found, null = cur.fetchone()
            equal(bytes(found) if isinstance(found, memoryview) else found, value)
            equal(null, None)
        cur.execute("SELECT %s::jsonb, %s::json", (psycopg2.extras.Json({"b": [1, None, "x"]}), '{"a":  1}'))
        equal(cur.fetchone(), ({"b": [1, None, "x"]}, {"a": 1}))
        cur.execute("SELECT 'infinity'::float8, '-infinity'::float8, 'NaN'::float8::text, 'NaN'::numeric::text")
        equal(cur.fetchone(), (float("inf"), float("-inf"), "NaN", "NaN"))


@case
def columns_are_described():
    with connect() as c, c.cursor() as cur:
        cur.execute("SELECT id, name, balance, 1 + 1 AS two, now(), ARRAY[1] FROM account")
        equal([d.name for d in cur.description], ["id", "name", "balance", "two", "now", "array"])
        equal([d.type_code for d in cur.description], [23, 1043, 1700, 23, 1184, 1007])
        equal([d.internal_size for d in cur.description][:4], [4, 10, 10, 4])
        equal((cur.description[2].precision, cur.description[2].scale), (10, 2))
        table, column = cur.description[1].table_oid, cur.description[1].table_column
        cur.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum = %s", (table, column))
        equal(cur.fetchone(), ("name",))


@case
def command_tags_and_row_counts():
    with connect() as c, c.cursor() as cur:
        steps = [
            ("INSERT INTO account VALUES (1, 'ann', 10, NULL), (2, 'bob', 20, 1)", "INSERT 0 2", 2),
            ("UPDATE account SET balance = balance + 1", "UPDATE 2", 2),
            ("UPDATE account SET balance = 0 WHERE id = 99", "UPDATE 0", 0),
            ("SELECT * FROM account", "SELECT 2", 2),
            ("DELETE FROM account WHERE id = 2", "DELETE 1", 1),
            ("CREATE TABLE tagged (a int)", "CREATE TABLE", -1),
            ("CREATE INDEX tagged_a ON tagged (a)", "CREATE INDEX", -1),
            ("ALTER TABLE tagged ADD b text", "ALTER TABLE", -1),
            ("DROP TABLE tagged", "DROP TABLE", -1),
            ("SHOW client_encoding", "SHOW", 1),
            ("SET client_min_messages = warning", "SET", -1),
            ("INSERT INTO entry (note) VALUES ('x') RETURNING id", "INSERT 0 1", 1),
        ]
        for statement, tag, count in steps:
            cur.execute(statement)
            equal((cur.statusmessage, cur.rowcount), (tag, count))
        c.rollback()


@case
def errors_name_what_they_are_about():
    with connect() as c, c.cursor() as cur:
        cur.execute("INSERT INTO account VALUES (1, 'ann', 10, NULL)")
    failures = [
        ("INSERT INTO account VALUES (1, 'eve')", "23505",
         {"constraint_name": "account_pkey", "table_name": "account", "schema_name": "public",
          "message_detail": "Key (id)=(1) already exists.",
          "message_primary": 'duplicate key value violates unique constraint "account_pkey"'}),
        ("INSERT INTO account VALUES (3, 'ann')", "23505", {"constraint_name": "account_name_key"}),
        ("INSERT INTO account VALUES (3, NULL)", "23502", {"column_name": "name", "table_name": "account"}),
        ("INSERT INTO account VALUES (3, 'c', -1)", "23514", {"constraint_name": "account_balance_check"}),
        ("INSERT INTO account VALUES (3, 'c', 1, 77)", "23503",
         {"constraint_name": "account_parent_fkey",
          "message_detail": 'Key (parent)=(77) is not present in table "account".'}),
        ("INSERT INTO account VALUES (3, 'longer than ten')", "22001", {}),
        ("SELECT nosuch FROM account", "42703", {"statement_position": "8"}),
        ("SELECT * FROM nosuch", "42P01", {"statement_position": "15"}),
        ("SELECT nosuch(1)", "42883", {}),
        ("SELEC 1", "42601", {"statement_position": "1", "severity": "ERROR"}),
        ("SELECT 1/0", "22012", {}),
        ("SELECT 'x'::int", "22P02", {}),
        ("SELECT 2147483647 + 1", "22003", {}),
        ("SELECT '2024-02-30'::date", "22008", {}),
        ("CREATE TABLE account (a int)", "42P07", {}),
        ("SELECT 'a'::nosuch", "42704", {}),
        ("SELECT id, count(*) FROM account", "42803", {}),
    ]
    c = connect()
    for statement, sqlstate, fields in failures:
        with c.cursor() as cur, raises(sqlstate) as caught:
            cur.execute(statement)
        for field, value in fields.items():
            equal(getattr(caught[0].diag, field), value)
        c.rollback()
    c.close()


@case
def a_failed_transaction_waits_for_its_end():
    c = connect()
    cur = c.cursor()
    equal(c.info.transaction_status, ext.TRANSACTION_STATUS_IDLE)
    cur.execute("INSERT INTO entry (note) VALUES ('lost')")
    equal(c.info.transaction_status, ext.TRANSACTION_STATUS_INTRANS)
    with raises("22012"):
        cur.execute("SELECT 1/0")
    equal(c.info.transaction_status, ext.TRANSACTION_STATUS_INERROR)
    with raises("25P02"):
        cur.execute("SELECT 1")
    cur.execute("COMMIT")
    equal(cur.statusmessage, "ROLLBACK")
    c.rollback()
    cur.execute("SELECT count(*) FROM entry WHERE note = 'lost'")
    equal(cur.fetchone(), (0,))
    c.close()


@case
def savepoints_undo_a_part():
    with connect() as c, c.cursor() as cur:
        cur.execute("INSERT INTO entry (note) VALUES ('kept')")
        cur.execute("SAVEPOINT s")
        cur.execute("INSERT INTO entry (note) VALUES ('undone')")
        with raises("22012"):
            cur.execute("SELECT 1/0")
        cur.execute("ROLLBACK TO SAVEPOINT s")
        cur.execute("RELEASE SAVEPOINT s")
        with raises("3B001"):
            cur.execute("ROLLBACK TO SAVEPOINT nosuch")
    with connect() as c, c.cursor() as cur:
        cur.execute("SAVEPOINT a; INSERT INTO entry (note) VALUES ('kept'); RELEASE a")
    with connect() as c, c.cursor() as cur:
        cur.execute("SELECT array_agg(note ORDER BY id) FROM entry WHERE note IN ('kept', 'undone')")
        equal(cur.fetchone(), (["kept"],))


@case
def several_statements_in_one_string():
    c = connect()
    c.autocommit = True
    cur = c.cursor()
    cur.execute("SELECT 1; SELECT 'a;b' AS two; -- the last one counts\n")
    equal(cur.fetchall(), [("a;b",)])
    with raises("22012"):
        cur.execute("INSERT INTO entry (note) VALUES ('atomic'); SELECT 1/0")
    cur.execute("SELECT count(*) FROM entry WHERE note = 'atomic'")
    equal(cur.fetchone(), (0,))
    psycopg2.extras.execute_values(cur, "INSERT INTO entry (note) VALUES %s", [(f"v{n}",) for n in range(250)])
    psycopg2.extras.execute_batch(cur, "UPDATE entry SET note = %s WHERE note = %s",
                                  [(f"w{n}", f"v{n}") for n in range(250)], page_size=100)
    cur.execute("SELECT count(*) FROM entry WHERE note ~ '^w[0-9]+$'")
    equal(cur.fetchone(), (250,))
    c.close()


@case
def named_cursors_fetch_in_parts():
    with connect() as c:
        with c.cursor("part") as cur:
            cur.itersize = 7
            cur.execute("SELECT g, g * 2 FROM generate_series(1, 50) AS g")
            equal([row[0] for row in cur], list(range(1, 51)))
        with c.cursor("scrolling", scrollable=True) as cur:
            cur.execute("SELECT g FROM generate_series(1, 10) AS g")
            cur.scroll(5)
            equal(cur.fetchone(), (6,))
            cur.scroll(-3)
            equal(cur.fetchone(), (4,))
            cur.scroll(0, mode="absolute")
            equal(cur.fetchmany(2), [(1,), (2,)])
        with c.cursor("held", withhold=True) as cur:
            cur.execute("SELECT g FROM generate_series(1, 3) AS g")
            c.commit()
            equal(cur.fetchall(), [(1,), (2,), (3,)])


@case
def copy_in_and_out():
    with connect() as c, c.cursor() as cur:
        cur.execute("CREATE TABLE copied (id int PRIMARY KEY, t text, n numeric)")
        cur.copy_from(io.StringIO("1\ta\\tb\t1.50\n2\t\\N\t\\N\n"), "copied")
        equal(cur.rowcount, 2)
        cur.copy_expert("COPY copied (id, t) FROM STDIN WITH (FORMAT csv, HEADER)", io.StringIO('id,t\n3,"x,""y"\n4,\n'))
        out = io.StringIO()
        cur.copy_to(out, "copied")
        equal(out.getvalue(), '1\ta\\tb\t1.50\n2\t\\N\t\\N\n3\tx,"y\t\\N\n4\t\\N\t\\N\n')
        out = io.StringIO()
        cur.copy_expert("COPY (SELECT * FROM copied WHERE id > 1 ORDER BY id DESC) TO STDOUT WITH CSV HEADER", out)
        equal(out.getvalue(), 'id,t,n\n4,,\n3,"x,""y",\n2,,\n')
        cur.execute("SAVEPOINT s")
        with raises("22P02") as caught:
            cur.copy_from(io.StringIO("5\tx\t1\nsix\ty\t2\n"), "copied")
        equal(caught[0].diag.context, 'COPY copied, line 2, column id: "six"')
        cur.execute("ROLLBACK TO s")
        cur.execute("SELECT count(*) FROM copied")
        equal(cur.fetchone(), (4,))


@case
def notifications_arrive_at_commit():
    listener, sender = connect(), connect()
    listener.autocommit = True
    listener.cursor().execute("LISTEN news")
    cur = sender.cursor()
    cur.execute("NOTIFY news, 'one'")
    cur.execute("SELECT pg_notify('news', 'two')")
    cur.execute("NOTIFY news, 'one'")
    sender.commit()
    cur.execute("NOTIFY news, 'never'")
    sender.rollback()
    while len(listener.notifies) < 2:
        equal(select.select([listener], [], [], 30)[0], [listener])
        listener.poll()
    equal([(n.channel, n.payload, n.pid) for n in listener.notifies],
          [("news", p, sender.info.backend_pid) for p in ("one", "two")])
    listener.close()
    sender.close()


@case
def cancel_ends_a_statement():
    c = connect()
    cur = c.cursor()
    done = threading.Event()

    def cancel():
        while not done.wait(0.05):
            c.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with raises("57014"):
            cur.execute("SELECT pg_sleep(60)")
    finally:
        done.set()
        thread.join()
    c.close()
    with connect() as c, c.cursor() as cur, raises("57014"):
        cur.execute("SET statement_timeout = 50; SELECT pg_sleep(60)")


@case
def reset_makes_a_session_new():
    c = connect()
    cur = c.cursor()
    cur.execute("SET search_path = pg_catalog; SET TIME ZONE 'Asia/Tokyo'; PREPARE p AS SELECT 1; LISTEN news")
    cur.execute("CREATE TEMPORARY TABLE scratch (a int)")
    c.commit()
    c.reset()
    c.autocommit = True
    cur = c.cursor()
    cur.execute("DISCARD ALL")
    equal(cur.statusmessage, "DISCARD ALL")
    cur.execute("SHOW search_path")
    equal(cur.fetchone(), ('"$user", public',))
    cur.execute("NOTIFY news")
    equal(c.notifies, [])
    with raises("26000"):
        cur.execute("EXECUTE p")
    with raises("42P01"):
        cur.execute("SELECT * FROM scratch")
    c.close()


@case
def isolation_levels_and_read_only():
    c = connect()
    for level, name in [(ext.ISOLATION_LEVEL_READ_COMMITTED, "read committed"),
                        (ext.ISOLATION_LEVEL_REPEATABLE_READ, "repeatable read")]:
        c.set_session(isolation_level=level)
        with c.cursor() as cur:
            cur.execute("SHOW transaction_isolation")
            equal(cur.fetchone(), (name,))
        c.rollback()
    c.set_session(readonly=True)
    with c.cursor() as cur, raises("25006"):
        cur.execute("INSERT INTO entry (note) VALUES ('no')")
    c.close()


@case
def a_pool_hands_connections_out_again():
    pool = psycopg2.pool.ThreadedConnectionPool(
        1, 4, host=report.HOST, port=report.PORT, user=report.USER, dbname=report.DATABASE)

    def work(number):
        c = pool.getconn()
        with c, c.cursor() as cur:
            cur.execute("INSERT INTO entry (note) VALUES (%s)", (f"pool {number}",))
        pool.putconn(c)

    for batch in range(3):
        threads = [threading.Thread(target=work, args=(batch * 4 + n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    c = pool.getconn()
    with c.cursor() as cur:
        cur.execute("SELECT count(*) FROM entry WHERE note LIKE 'pool %'")
        equal(cur.fetchone(), (12,))
    pool.closeall()


@case
def notices_are_collected():
    with connect() as c, c.cursor() as cur:
        cur.execute("DROP TABLE IF EXISTS nosuch")
        equal(c.notices, ['NOTICE:  table "nosuch" does not exist, skipping\n'])


setup()
report.run("psycopg2", psycopg2.__version__.split()[0])
