-- COPY in its forms, from and to the client.
CREATE TABLE c (id int PRIMARY KEY, t text, n numeric, at date);
COPY c FROM STDIN;
1	plain	1.50	2024-02-29
2	tab\tnew\nline	\N	\N
3		-0.001	0001-01-01 BC
\.
\copy c (id, t) from stdin with (format csv, header true, quote '''')
id,t
4,'a,b'
5,''
6,
\.
COPY c TO STDOUT;
COPY c (t, id) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE (t), NULL '-');
\copy (select id, n from c where n is not null order by id desc) to stdout with delimiter '|'
COPY c FROM STDIN;
7	x	not a number	\N
\.
COPY c (id, nosuch) FROM STDIN;
COPY c FROM STDIN;
1	again	\N	\N
\.
SELECT count(*) FROM c;
