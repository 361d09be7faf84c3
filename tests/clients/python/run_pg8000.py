"""pg8000: pure Python; the unnamed statement is parsed, described and bound in separate round trips."""

import datetime
import decimal
import io
import uuid

import pg8000
import pg8000.dbapi
import pg8000.native

import report
from report import case, equal

UTC = datetime.timezone.utc
OPTIONS = dict(host=report.HOST, port=report.PORT, user=report.USER, database=report.DATABASE)


def raises(sqlstate):
    return report.raises(pg8000.exceptions.DatabaseError, sqlstate, lambda error: error.args[0]["C"])


def native():
    return pg8000.native.Connection(**OPTIONS)


@case
def values_come_back_as_they_went():
    values = [
        ("bool", True), ("int2", 1), ("int4", -5), ("int8", 2**60), ("float8", 1.25), ("numeric", decimal.Decimal("1.10")),
        ("text", "é\n"), ("bytea", b"\x00\xff"), ("date", datetime.date(2024, 2, 29)), ("time", datetime.time(1, 2, 3)),
        ("timestamp", datetime.datetime(2024, 1, 2, 3, 4, 5, 6)), ("uuid", uuid.UUID(int=7)),
        ("timestamptz", datetime.datetime(2024, 1, 2, tzinfo=UTC)), ("int4[]", [1, None]), ("text[]", ["a,b", '"']),
        ("jsonb", {"a": [1, None]}), ("interval", datetime.timedelta(days=1, seconds=2)),
    ]
    c = native()
    for name, value in values:
        sent = '{"a": [1, null]}' if name == "jsonb" else value
        equal(c.run(f"SELECT cast(:v AS {name})", v=sent), [[value]])
    c.close()


@case
def parameters_are_bound_by_name():
    c = native()
    c.run("CREATE TABLE item (id int PRIMARY KEY, name text, n int)")
    for n in range(10):
        c.run("INSERT INTO item VALUES (:id, :name, :n)", id=n, name=f"name {n}", n=None if n % 2 else n)
    equal(c.row_count, 1)
    equal(c.run("SELECT id, name FROM item WHERE n > :low AND id = ANY(:ids)", low=1, ids=[2, 4, 5]),
          [[2, "name 2"], [4, "name 4"]])
    equal([(d["name"], d["type_oid"]) for d in c.columns], [("id", 23), ("name", 25)])
    equal(c.run("UPDATE item SET n = 0 WHERE id < :id", id=3), None)
    equal(c.row_count, 3)
    c.close()


@case
def prepared_statements_live_until_closed():
    c = native()
    s = c.prepare("SELECT cast(:n AS int) * 2")
    equal([s.run(n=n) for n in range(5)], [[[n * 2]] for n in range(5)])
    s.close()
    c.close()


@case
def transactions_and_errors():
    c = pg8000.dbapi.connect(**OPTIONS)
    cur = c.cursor()
    cur.execute("CREATE TABLE tx (id int PRIMARY KEY)")
    c.commit()
    cur.execute("INSERT INTO tx VALUES (%s)", (1,))
    with raises("23505") as caught:
        cur.execute("INSERT INTO tx VALUES (%s)", (1,))
    fields = caught[0].args[0]
    equal((fields["S"], fields["t"], fields["n"], fields["M"]),
          ("ERROR", "tx", "tx_pkey", 'duplicate key value violates unique constraint "tx_pkey"'))
    with raises("25P02"):
        cur.execute("SELECT 1")
    c.rollback()
    cur.execute("SELECT count(*) FROM tx")
    equal(cur.fetchone(), [0])
    cur.executemany("INSERT INTO tx VALUES (%s)", [(n,) for n in range(20)])
    c.commit()
    cur.execute("SELECT count(*) FROM tx")
    equal(cur.fetchone(), [20])
    c.close()


@case
def copy_in_and_out():
    c = native()
    c.run("CREATE TABLE copied (id int PRIMARY KEY, t text)")
    c.run("COPY copied FROM STDIN", stream=io.StringIO("1\ta\n2\t\\N\n"))
    equal(c.row_count, 2)
    out = io.BytesIO()
    c.run("COPY copied TO STDOUT WITH (FORMAT CSV)", stream=out)
    equal(out.getvalue(), b"1,a\n2,\n")
    c.close()


@case
def notifications_and_notices():
    c, sender = native(), native()
    c.run("LISTEN post")
    sender.run("NOTIFY post, 'card'")
    while not c.notifications:
        c.run("SELECT 1")
    equal([(n[1], n[2]) for n in c.notifications], [("post", "card")])
    c.run("DROP TABLE IF EXISTS nosuch")
    equal(c.notices[-1][b"M"], b'table "nosuch" does not exist, skipping')
    c.close()
    sender.close()


@case
def session_settings_are_reported():
    c = native()
    equal(c.parameter_statuses["server_version"].startswith("15"), True)
    c.run("SET TIME ZONE 'Asia/Tokyo'")
    equal(c.parameter_statuses["TimeZone"], "Asia/Tokyo")
    equal(c.run("SELECT timestamptz '2024-01-01 00:00:00Z'::text"), [["2024-01-01 09:00:00+09"]])
    c.close()


report.run("pg8000", pg8000.__version__)
