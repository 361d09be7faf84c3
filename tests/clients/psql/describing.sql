-- What the backslash commands find out from the catalogs.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE parent (id serial PRIMARY KEY, name varchar(20) NOT NULL UNIQUE, feels mood DEFAULT 'ok');
CREATE TABLE child (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent_id int NOT NULL REFERENCES parent ON DELETE CASCADE,
    price numeric(8,2) DEFAULT 0 CHECK (price >= 0), tags text[], double numeric GENERATED ALWAYS AS (price * 2) STORED);
CREATE INDEX child_price ON child (parent_id, price DESC) WHERE price > 0;
CREATE VIEW dear AS SELECT id, price FROM child WHERE price > 100;
CREATE SEQUENCE apart;
COMMENT ON TABLE child IS 'has a parent';
COMMENT ON COLUMN child.price IS 'in crowns';
\d
\d parent
\d child
\d+ child
\d child_price
\d dear
\d parent_id_seq
\d apart
\dt
\di
\dv
\ds
\dT
\dT+ mood
\dn
\du
\dC money
\df lower
\dd child
\z parent
\dp child
\dconfig work_mem
SELECT * FROM parent_id_seq;
