-- Ways to send a query and to lay out its answer.
CREATE TABLE q (id int PRIMARY KEY, kind text, month int, n numeric(6,2), at timestamptz, j jsonb, a int[], b bytea);
INSERT INTO q SELECT g, 'k' || g % 2, g % 3, g * 1.5, timestamptz '2024-01-01 00:00:00Z' + g * interval '1 day',
    jsonb_build_object('g', g), ARRAY[g, NULL], decode('00ff', 'hex') FROM generate_series(1, 6) g;
TABLE q;
SELECT * FROM q WHERE id = 1 \gx
SELECT id, n, a FROM q WHERE id < $1 \bind 3 \g
SELECT id, n FROM q \gdesc
SELECT kind, month, sum(n) FROM q GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
SELECT format('SELECT %s AS n, %L AS t;', g, 'it''s ' || g) FROM generate_series(1, 2) g \gexec
\set FETCH_COUNT 2
SELECT id, kind FROM q ORDER BY id;
\unset FETCH_COUNT
\pset format csv
SELECT id, kind, NULL AS nothing, 'a,"b' AS odd FROM q WHERE id < 3;
\pset format aligned
\pset null '(null)'
\pset border 2
SELECT id, NULL AS nothing FROM q WHERE id = 1;
\pset format unaligned
\t on
SELECT id, kind FROM q WHERE id < 3;
SELECT 1 AS a \; SELECT 2 AS b;
