-- Variables that psql fills from what the server answers.
\set ECHO none
CREATE TABLE v (id int PRIMARY KEY, name text);
INSERT INTO v VALUES (1, 'one'), (2, 'two');
\echo :ROW_COUNT :SQLSTATE :ERROR
INSERT INTO v VALUES (1, 'again');
\echo :ROW_COUNT :SQLSTATE :ERROR :LAST_ERROR_SQLSTATE
\echo :LAST_ERROR_MESSAGE
\set VERBOSITY terse
SELECT 1/0;
\set VERBOSITY sqlstate
SELECT nosuch;
\set VERBOSITY default
\set SHOW_CONTEXT always
SELECT 'x'::int;
SELECT id AS found, name FROM v WHERE id = 2 \gset got_
\echo :got_found :got_name
SELECT :'got_name' AS quoted, :"got_name" FROM (SELECT 5 AS two) s;
SELECT count(*) > 1 AS many FROM v \gset
\if :many
\echo many
\else
\echo few
\endif
SELECT :{?many} AS is_set, :{?nosuch} AS is_not;
