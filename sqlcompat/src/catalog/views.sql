-- System views over the tables of the image. Each begins with a line "@ name: columns"; columns of the relation that are
-- not listed are NULL. Functions are called by their SQLite names.

@ pg_roles: rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit, rolpassword, rolvaliduntil, rolbypassrls, oid
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit, '********',
    rolvaliduntil, rolbypassrls, oid
FROM pg_authid

@ pg_shadow: usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, passwd, valuntil
SELECT rolname, oid, rolcreatedb, rolsuper, rolreplication, rolbypassrls, rolpassword, rolvaliduntil
FROM pg_authid WHERE rolcanlogin

@ pg_user: usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, passwd, valuntil
SELECT usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, '********', valuntil
FROM pg_shadow

@ pg_group: groname, grosysid, grolist
SELECT rolname, oid, (SELECT json_group_array(member) FROM pg_auth_members WHERE roleid = r.oid)
FROM pg_authid r WHERE NOT rolcanlogin

@ pg_tables: schemaname, tablename, tableowner, tablespace, hasindexes, hasrules, hastriggers, rowsecurity
SELECT n.nspname, c.relname, r.rolname, t.spcname, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity
FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_authid r ON r.oid = c.relowner
    LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
WHERE c.relkind IN ('r', 'p')

@ pg_views: schemaname, viewname, viewowner, definition
SELECT n.nspname, c.relname, r.rolname, pg_pg_get_viewdef(c.oid)
FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_authid r ON r.oid = c.relowner
WHERE c.relkind = 'v'

@ pg_matviews: schemaname, matviewname, matviewowner, tablespace, hasindexes, ispopulated, definition
SELECT n.nspname, c.relname, r.rolname, t.spcname, c.relhasindex, c.relispopulated, pg_pg_get_viewdef(c.oid)
FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_authid r ON r.oid = c.relowner
    LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
WHERE c.relkind = 'm'

@ pg_indexes: schemaname, tablename, indexname, tablespace, indexdef
SELECT n.nspname, c.relname, i.relname, t.spcname, pg_pg_get_indexdef(i.oid)
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_tablespace t ON t.oid = i.reltablespace
WHERE c.relkind IN ('r', 'm', 'p') AND i.relkind IN ('i', 'I')

@ pg_sequences: schemaname, sequencename, sequenceowner, data_type, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value
SELECT n.nspname, c.relname, r.rolname, s.seqtypid, s.seqstart, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle,
    s.seqcache, pg_pg_sequence_last_value(c.oid)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_authid r ON r.oid = c.relowner
WHERE c.relkind = 'S'

@ pg_timezone_abbrevs: abbrev, utc_offset, is_dst
SELECT c1, c2, c3 FROM pg_srf_pg_timezone_abbrevs

@ pg_timezone_names: name, abbrev, utc_offset, is_dst
SELECT c1, c2, c3, c4 FROM pg_srf_pg_timezone_names

@ pg_stat_all_tables: relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, vacuum_count, autovacuum_count, analyze_count, autoanalyze_count
SELECT c.oid, n.nspname, c.relname, 0, 0, CASE WHEN c.relhasindex THEN 0 END, CASE WHEN c.relhasindex THEN 0 END, 0, 0, 0, 0,
    pg_pg_stat_get_live_tuples(c.oid), 0, 0, 0, 0, 0, 0, 0
FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 't', 'm', 'p')

@ pg_stat_user_tables: relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, vacuum_count, autovacuum_count, analyze_count, autoanalyze_count
SELECT relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del,
    n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, vacuum_count, autovacuum_count,
    analyze_count, autoanalyze_count
FROM pg_stat_all_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname NOT LIKE 'pg\_toast%' ESCAPE '\'

@ pg_stat_sys_tables: relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, vacuum_count, autovacuum_count, analyze_count, autoanalyze_count
SELECT relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del,
    n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, vacuum_count, autovacuum_count,
    analyze_count, autoanalyze_count
FROM pg_stat_all_tables WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname LIKE 'pg\_toast%' ESCAPE '\'

@ pg_stat_all_indexes: relid, indexrelid, schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch
SELECT c.oid, i.oid, n.nspname, c.relname, i.relname, 0, 0, 0
FROM pg_class c JOIN pg_index x ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 't', 'm')

@ pg_stat_user_indexes: relid, indexrelid, schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch
SELECT relid, indexrelid, schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch
FROM pg_stat_all_indexes WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname NOT LIKE 'pg\_toast%' ESCAPE '\'

@ pg_stat_sys_indexes: relid, indexrelid, schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch
SELECT relid, indexrelid, schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch
FROM pg_stat_all_indexes WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname LIKE 'pg\_toast%' ESCAPE '\'

@ pg_statio_all_tables: relid, schemaname, relname, heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit
SELECT c.oid, n.nspname, c.relname, 0, 0, CASE WHEN c.relhasindex THEN 0 END, CASE WHEN c.relhasindex THEN 0 END
FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 't', 'm')

@ pg_statio_user_tables: relid, schemaname, relname, heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit
SELECT relid, schemaname, relname, heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit
FROM pg_statio_all_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname NOT LIKE 'pg\_toast%' ESCAPE '\'

@ pg_stat_database: datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks, blk_read_time, blk_write_time, session_time, active_time, idle_in_transaction_time, sessions, sessions_abandoned, sessions_fatal, sessions_killed
SELECT oid, datname, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0
FROM pg_database

@ information_schema.information_schema_catalog_name: catalog_name
SELECT datname FROM pg_database LIMIT 1

@ information_schema.schemata: catalog_name, schema_name, schema_owner
SELECT d.catalog_name, n.nspname, r.rolname
FROM pg_namespace n JOIN "information_schema.information_schema_catalog_name" d LEFT JOIN pg_authid r ON r.oid = n.nspowner

@ information_schema.tables: table_catalog, table_schema, table_name, table_type, is_insertable_into, is_typed
SELECT d.catalog_name, n.nspname, c.relname,
    CASE WHEN c.relpersistence = 't' THEN 'LOCAL TEMPORARY' WHEN c.relkind = 'v' THEN 'VIEW' ELSE 'BASE TABLE' END,
    iif(pg_pg_relation_is_updatable(c.oid, 0) & 8 = 8, 'YES', 'NO'), 'NO'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN "information_schema.information_schema_catalog_name" d
WHERE c.relkind IN ('r', 'v', 'p')

@ information_schema.columns: table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, interval_precision, collation_catalog, collation_schema, collation_name, domain_catalog, domain_schema, domain_name, udt_catalog, udt_schema, udt_name, dtd_identifier, is_self_referencing, is_identity, identity_generation, identity_start, identity_increment, identity_maximum, identity_minimum, identity_cycle, is_generated, generation_expression, is_updatable
SELECT d.catalog_name, nc.nspname, c.relname, a.attname, a.attnum,
    CASE WHEN a.attgenerated = '' THEN ad.adbin END,
    CASE WHEN a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) THEN 'NO' ELSE 'YES' END,
    CASE WHEN u.typelem <> 0 AND u.typlen = -1 THEN 'ARRAY' WHEN u.typnamespace = 11 THEN pg_format_type(u.oid, NULL)
        ELSE 'USER-DEFINED' END,
    CASE WHEN u.oid IN (1042, 1043) AND m.typmod <> -1 THEN m.typmod - 4 WHEN u.oid IN (1560, 1562) AND m.typmod <> -1 THEN m.typmod END,
    CASE WHEN u.oid IN (25, 1042, 1043) THEN CASE WHEN u.oid = 25 OR m.typmod = -1 THEN 1073741824 ELSE (m.typmod - 4) * 4 END END,
    CASE u.oid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
        WHEN 1700 THEN CASE WHEN m.typmod <> -1 THEN ((m.typmod - 4) >> 16) & 65535 END END,
    CASE WHEN u.oid IN (20, 21, 23, 700, 701) THEN 2 WHEN u.oid = 1700 THEN 10 END,
    CASE WHEN u.oid IN (20, 21, 23) THEN 0 WHEN u.oid = 1700 AND m.typmod <> -1 THEN (m.typmod - 4) & 65535 END,
    CASE WHEN u.oid = 1082 THEN 0 WHEN u.oid IN (1083, 1114, 1184, 1266) THEN iif(m.typmod < 0, 6, m.typmod)
        WHEN u.oid = 1186 THEN iif(m.typmod < 0 OR (m.typmod & 65535) = 65535, 6, m.typmod & 65535) END,
    NULL,
    CASE WHEN co.oid <> 100 THEN d.catalog_name END, CASE WHEN co.oid <> 100 THEN nco.nspname END,
    CASE WHEN co.oid <> 100 THEN co.collname END,
    CASE WHEN t.typtype = 'd' THEN d.catalog_name END, CASE WHEN t.typtype = 'd' THEN nt.nspname END,
    CASE WHEN t.typtype = 'd' THEN t.typname END,
    d.catalog_name, nu.nspname, u.typname, a.attnum, 'NO',
    CASE WHEN a.attidentity <> '' THEN 'YES' ELSE 'NO' END,
    CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
    CAST(s.seqstart AS TEXT), CAST(s.seqincrement AS TEXT), CAST(s.seqmax AS TEXT), CAST(s.seqmin AS TEXT),
    CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END,
    CASE WHEN a.attgenerated <> '' THEN 'ALWAYS' ELSE 'NEVER' END,
    CASE WHEN a.attgenerated <> '' THEN ad.adbin END,
    CASE WHEN c.relkind <> 'v' OR pg_pg_column_is_updatable(c.oid, a.attnum, 0) THEN 'YES' ELSE 'NO' END
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace nc ON nc.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace nt ON nt.oid = t.typnamespace
    JOIN pg_type u ON u.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
    JOIN pg_namespace nu ON nu.oid = u.typnamespace
    JOIN "information_schema.information_schema_catalog_name" d
    JOIN (SELECT a.attrelid, a.attnum, CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod
          FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid) m ON m.attrelid = a.attrelid AND m.attnum = a.attnum
    LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
    LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace nco ON nco.oid = co.collnamespace
    LEFT JOIN pg_depend dep ON a.attidentity <> '' AND dep.refclassid = 1259 AND dep.refobjid = a.attrelid
        AND dep.refobjsubid = a.attnum AND dep.classid = 1259 AND dep.deptype = 'i'
    LEFT JOIN pg_sequence s ON s.seqrelid = dep.objid
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')

@ information_schema.column_udt_usage: udt_catalog, udt_schema, udt_name, table_catalog, table_schema, table_name, column_name
SELECT udt_catalog, udt_schema, udt_name, table_catalog, table_schema, table_name, column_name
FROM "information_schema.columns"

@ information_schema.column_domain_usage: domain_catalog, domain_schema, domain_name, table_catalog, table_schema, table_name, column_name
SELECT domain_catalog, domain_schema, domain_name, table_catalog, table_schema, table_name, column_name
FROM "information_schema.columns" WHERE domain_name IS NOT NULL

@ information_schema.views: table_catalog, table_schema, table_name, view_definition, check_option, is_updatable, is_insertable_into, is_trigger_updatable, is_trigger_deletable, is_trigger_insertable_into
SELECT d.catalog_name, n.nspname, c.relname, pg_pg_get_viewdef(c.oid),
    CASE WHEN c.reloptions LIKE '%"check_option=cascaded"%' THEN 'CASCADED'
        WHEN c.reloptions LIKE '%"check_option=local"%' THEN 'LOCAL' ELSE 'NONE' END,
    iif(pg_pg_relation_is_updatable(c.oid, 0) & 20 = 20, 'YES', 'NO'),
    iif(pg_pg_relation_is_updatable(c.oid, 0) & 8 = 8, 'YES', 'NO'), 'NO', 'NO', 'NO'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN "information_schema.information_schema_catalog_name" d
WHERE c.relkind = 'v'

@ information_schema.view_table_usage: view_catalog, view_schema, view_name, table_catalog, table_schema, table_name
SELECT DISTINCT d.catalog_name, nv.nspname, v.relname, d.catalog_name, nt.nspname, t.relname
FROM pg_class v JOIN pg_namespace nv ON nv.oid = v.relnamespace JOIN pg_rewrite r ON r.ev_class = v.oid
    JOIN pg_depend u ON u.classid = 2618 AND u.objid = r.oid AND u.refclassid = 1259 AND u.refobjid <> v.oid
    JOIN pg_class t ON t.oid = u.refobjid JOIN pg_namespace nt ON nt.oid = t.relnamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE v.relkind = 'v' AND t.relkind IN ('r', 'v', 'f', 'p')

@ information_schema.view_column_usage: view_catalog, view_schema, view_name, table_catalog, table_schema, table_name, column_name
SELECT DISTINCT d.catalog_name, nv.nspname, v.relname, d.catalog_name, nt.nspname, t.relname, a.attname
FROM pg_class v JOIN pg_namespace nv ON nv.oid = v.relnamespace JOIN pg_rewrite r ON r.ev_class = v.oid
    JOIN pg_depend u ON u.classid = 2618 AND u.objid = r.oid AND u.refclassid = 1259 AND u.refobjid <> v.oid
    JOIN pg_class t ON t.oid = u.refobjid JOIN pg_namespace nt ON nt.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.refobjsubid
    JOIN "information_schema.information_schema_catalog_name" d
WHERE v.relkind = 'v' AND t.relkind IN ('r', 'v', 'f', 'p')

@ information_schema.table_constraints: constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, constraint_type, is_deferrable, initially_deferred, enforced, nulls_distinct
SELECT d.catalog_name, nc.nspname, k.conname, d.catalog_name, n.nspname, c.relname,
    CASE k.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END,
    iif(k.condeferrable, 'YES', 'NO'), iif(k.condeferred, 'YES', 'NO'), 'YES',
    CASE k.contype WHEN 'u' THEN (SELECT iif(x.indnullsnotdistinct, 'NO', 'YES') FROM pg_index x WHERE x.indexrelid = k.conindid) END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_namespace nc ON nc.oid = k.connamespace JOIN "information_schema.information_schema_catalog_name" d
WHERE k.contype NOT IN ('t', 'x') AND c.relkind IN ('r', 'p')
UNION ALL
SELECT d.catalog_name, n.nspname, n.oid || '_' || c.oid || '_' || a.attnum || '_not_null', d.catalog_name, n.nspname,
    c.relname, 'CHECK', 'NO', 'NO', 'YES', NULL
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')

@ information_schema.check_constraints: constraint_catalog, constraint_schema, constraint_name, check_clause
SELECT d.catalog_name, n.nspname, k.conname, substr(pg_pg_get_constraintdef(k.oid), 7)
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace JOIN "information_schema.information_schema_catalog_name" d
WHERE k.contype = 'c'
UNION ALL
SELECT d.catalog_name, n.nspname, n.oid || '_' || c.oid || '_' || a.attnum || '_not_null', a.attname || ' IS NOT NULL'
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')

@ information_schema.key_column_usage: constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, column_name, ordinal_position, position_in_unique_constraint
SELECT d.catalog_name, nk.nspname, k.conname, d.catalog_name, n.nspname, c.relname, a.attname, e.key + 1,
    CASE k.contype WHEN 'f' THEN
        (SELECT p.key + 1 FROM pg_index x, json_each(x.indkey) p
         WHERE x.indexrelid = k.conindid AND p.value = k.confkey ->> e.key) END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_namespace nk ON nk.oid = k.connamespace JOIN json_each(k.conkey) e
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = e.value
    JOIN "information_schema.information_schema_catalog_name" d
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p')

@ information_schema.constraint_column_usage: table_catalog, table_schema, table_name, column_name, constraint_catalog, constraint_schema, constraint_name
SELECT d.catalog_name, n.nspname, c.relname, a.attname, d.catalog_name, nk.nspname, k.conname
FROM pg_constraint k
    JOIN json_each(CASE k.contype WHEN 'f' THEN k.confkey ELSE k.conkey END) e
    JOIN pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace nk ON nk.oid = k.connamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = e.value
    JOIN "information_schema.information_schema_catalog_name" d
WHERE k.contype IN ('c', 'p', 'u', 'f') AND c.relkind IN ('r', 'p')

@ information_schema.constraint_table_usage: table_catalog, table_schema, table_name, constraint_catalog, constraint_schema, constraint_name
SELECT d.catalog_name, n.nspname, c.relname, d.catalog_name, nk.nspname, k.conname
FROM pg_constraint k JOIN pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace nk ON nk.oid = k.connamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p')

@ information_schema.referential_constraints: constraint_catalog, constraint_schema, constraint_name, unique_constraint_catalog, unique_constraint_schema, unique_constraint_name, match_option, update_rule, delete_rule
SELECT d.catalog_name, n.nspname, k.conname, iif(p.oid IS NULL, NULL, d.catalog_name), np.nspname, p.conname,
    CASE k.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' WHEN 's' THEN 'NONE' END,
    CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION' END,
    CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION' END
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
    JOIN "information_schema.information_schema_catalog_name" d
    LEFT JOIN pg_constraint p ON p.conrelid = k.confrelid AND p.conindid = k.conindid AND p.contype IN ('p', 'u')
    LEFT JOIN pg_namespace np ON np.oid = p.connamespace
WHERE k.contype = 'f'

@ information_schema.sequences: sequence_catalog, sequence_schema, sequence_name, data_type, numeric_precision, numeric_precision_radix, numeric_scale, start_value, minimum_value, maximum_value, increment, cycle_option
SELECT d.catalog_name, n.nspname, c.relname, pg_format_type(s.seqtypid, NULL),
    CASE s.seqtypid WHEN 21 THEN 16 WHEN 23 THEN 32 ELSE 64 END, 2, 0, CAST(s.seqstart AS TEXT), CAST(s.seqmin AS TEXT),
    CAST(s.seqmax AS TEXT), CAST(s.seqincrement AS TEXT), iif(s.seqcycle, 'YES', 'NO')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = 1259 AND i.objid = c.oid AND i.deptype = 'i')

@ information_schema.domains: domain_catalog, domain_schema, domain_name, data_type, character_maximum_length, character_octet_length, collation_catalog, collation_schema, collation_name, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, domain_default, udt_catalog, udt_schema, udt_name, dtd_identifier
SELECT d.catalog_name, n.nspname, t.typname,
    CASE WHEN u.typelem <> 0 AND u.typlen = -1 THEN 'ARRAY' WHEN u.typnamespace = 11 THEN pg_format_type(u.oid, NULL)
        ELSE 'USER-DEFINED' END,
    CASE WHEN u.oid IN (1042, 1043) AND t.typtypmod <> -1 THEN t.typtypmod - 4 WHEN u.oid IN (1560, 1562) AND t.typtypmod <> -1 THEN t.typtypmod END,
    CASE WHEN u.oid IN (25, 1042, 1043) THEN CASE WHEN u.oid = 25 OR t.typtypmod = -1 THEN 1073741824 ELSE (t.typtypmod - 4) * 4 END END,
    CASE WHEN co.oid <> 100 THEN d.catalog_name END, CASE WHEN co.oid <> 100 THEN nco.nspname END,
    CASE WHEN co.oid <> 100 THEN co.collname END,
    CASE u.oid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
        WHEN 1700 THEN CASE WHEN t.typtypmod <> -1 THEN ((t.typtypmod - 4) >> 16) & 65535 END END,
    CASE WHEN u.oid IN (20, 21, 23, 700, 701) THEN 2 WHEN u.oid = 1700 THEN 10 END,
    CASE WHEN u.oid IN (20, 21, 23) THEN 0 WHEN u.oid = 1700 AND t.typtypmod <> -1 THEN (t.typtypmod - 4) & 65535 END,
    CASE WHEN u.oid = 1082 THEN 0 WHEN u.oid IN (1083, 1114, 1184, 1266) THEN iif(t.typtypmod < 0, 6, t.typtypmod)
        WHEN u.oid = 1186 THEN iif(t.typtypmod < 0 OR (t.typtypmod & 65535) = 65535, 6, t.typtypmod & 65535) END,
    t.typdefault, d.catalog_name, nu.nspname, u.typname, '1'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type u ON u.oid = t.typbasetype
    JOIN pg_namespace nu ON nu.oid = u.typnamespace JOIN "information_schema.information_schema_catalog_name" d
    LEFT JOIN pg_collation co ON co.oid = t.typcollation LEFT JOIN pg_namespace nco ON nco.oid = co.collnamespace
WHERE t.typtype = 'd'

@ information_schema.domain_udt_usage: udt_catalog, udt_schema, udt_name, domain_catalog, domain_schema, domain_name
SELECT udt_catalog, udt_schema, udt_name, domain_catalog, domain_schema, domain_name
FROM "information_schema.domains"

@ information_schema.domain_constraints: constraint_catalog, constraint_schema, constraint_name, domain_catalog, domain_schema, domain_name, is_deferrable, initially_deferred
SELECT d.catalog_name, nk.nspname, k.conname, d.catalog_name, n.nspname, t.typname, iif(k.condeferrable, 'YES', 'NO'),
    iif(k.condeferred, 'YES', 'NO')
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
    JOIN pg_namespace nk ON nk.oid = k.connamespace JOIN "information_schema.information_schema_catalog_name" d

@ information_schema.element_types: object_catalog, object_schema, object_name, object_type, collection_type_identifier, data_type, udt_catalog, udt_schema, udt_name, dtd_identifier
SELECT d.catalog_name, n.nspname, c.relname, iif(c.relkind = 'c', 'USER-DEFINED TYPE', 'TABLE'), a.attnum,
    iif(e.typnamespace = 11, pg_format_type(e.oid, NULL), 'USER-DEFINED'), d.catalog_name, ne.nspname, e.typname,
    'a' || a.attnum
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type u ON u.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
    JOIN pg_type e ON e.oid = u.typelem JOIN pg_namespace ne ON ne.oid = e.typnamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE a.attnum > 0 AND NOT a.attisdropped AND u.typlen = -1 AND c.relkind IN ('r', 'v', 'f', 'p', 'c')

@ information_schema.character_sets: character_set_name, character_repertoire, form_of_use, default_collate_catalog, default_collate_schema, default_collate_name
SELECT 'UTF8', 'UCS', 'UTF8', d.catalog_name, 'pg_catalog', 'C.UTF-8'
FROM "information_schema.information_schema_catalog_name" d

@ information_schema.collations: collation_catalog, collation_schema, collation_name, pad_attribute
SELECT d.catalog_name, n.nspname, c.collname, 'NO PAD'
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
    JOIN "information_schema.information_schema_catalog_name" d
WHERE c.collencoding IN (-1, 6)

@ information_schema.collation_character_set_applicability: collation_catalog, collation_schema, collation_name, character_set_name
SELECT collation_catalog, collation_schema, collation_name, 'UTF8'
FROM "information_schema.collations"

@ information_schema.enabled_roles: role_name
SELECT rolname FROM pg_authid

@ information_schema.applicable_roles: grantee, role_name, is_grantable
SELECT m.rolname, r.rolname, iif(a.admin_option, 'YES', 'NO')
FROM pg_auth_members a JOIN pg_authid m ON m.oid = a.member JOIN pg_authid r ON r.oid = a.roleid

@ information_schema.table_privileges: grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy
SELECT r.rolname, r.rolname, d.catalog_name, n.nspname, c.relname, p.value, 'YES', iif(p.value = 'SELECT', 'YES', 'NO')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_authid r ON r.oid = c.relowner
    JOIN json_each('["INSERT","SELECT","UPDATE","DELETE","TRUNCATE","REFERENCES","TRIGGER"]') p
    JOIN "information_schema.information_schema_catalog_name" d
WHERE c.relkind IN ('r', 'v', 'f', 'p')

@ information_schema.role_table_grants: grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy
SELECT grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy
FROM "information_schema.table_privileges"

@ information_schema.column_privileges: grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable
SELECT r.rolname, r.rolname, d.catalog_name, n.nspname, c.relname, a.attname, p.value, 'YES'
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_authid r ON r.oid = c.relowner JOIN json_each('["INSERT","SELECT","UPDATE","REFERENCES"]') p
    JOIN "information_schema.information_schema_catalog_name" d
WHERE c.relkind IN ('r', 'v', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped

@ information_schema.role_column_grants: grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable
SELECT grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable
FROM "information_schema.column_privileges"

@ information_schema.usage_privileges: grantor, grantee, object_catalog, object_schema, object_name, object_type, privilege_type, is_grantable
SELECT r.rolname, r.rolname, d.catalog_name, n.nspname, c.relname, 'SEQUENCE', 'USAGE', 'YES'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_authid r ON r.oid = c.relowner
    JOIN "information_schema.information_schema_catalog_name" d
WHERE c.relkind = 'S'
UNION ALL
SELECT r.rolname, g.value, d.catalog_name, n.nspname, t.typname, 'DOMAIN', 'USAGE', iif(g.value = 'PUBLIC', 'NO', 'YES')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_authid r ON r.oid = t.typowner
    JOIN json_each(json_array('PUBLIC', r.rolname)) g JOIN "information_schema.information_schema_catalog_name" d
WHERE t.typtype = 'd'

@ information_schema.routines: specific_catalog, specific_schema, specific_name, routine_catalog, routine_schema, routine_name, routine_type, data_type, type_udt_catalog, type_udt_schema, type_udt_name, dtd_identifier, routine_body, routine_definition, external_name, external_language, parameter_style, is_deterministic, sql_data_access, is_null_call, schema_level_routine, max_dynamic_result_sets, security_type, as_locator, is_udt_dependent
SELECT d.catalog_name, n.nspname, p.proname || '_' || p.oid, d.catalog_name, n.nspname, p.proname,
    CASE p.prokind WHEN 'f' THEN 'FUNCTION' WHEN 'p' THEN 'PROCEDURE' END,
    CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN t.typnamespace = 11 THEN pg_format_type(t.oid, NULL)
        ELSE 'USER-DEFINED' END,
    d.catalog_name, nt.nspname, t.typname, '0', iif(l.lanname = 'sql', 'SQL', 'EXTERNAL'), p.prosrc,
    iif(l.lanname = 'c', p.prosrc, NULL), upper(l.lanname), 'GENERAL', iif(p.provolatile = 'i', 'YES', 'NO'), 'MODIFIES',
    CASE WHEN p.prokind = 'f' THEN iif(p.proisstrict, 'YES', 'NO') END, 'YES', 0, iif(p.prosecdef, 'DEFINER', 'INVOKER'),
    'NO', 'NO'
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_type t ON t.oid = p.prorettype AND p.prokind <> 'p' LEFT JOIN pg_namespace nt ON nt.oid = t.typnamespace
    JOIN "information_schema.information_schema_catalog_name" d

@ information_schema.parameters: specific_catalog, specific_schema, specific_name, ordinal_position, parameter_mode, is_result, as_locator, parameter_name, data_type, udt_catalog, udt_schema, udt_name, dtd_identifier, parameter_default
SELECT d.catalog_name, n.nspname, p.proname || '_' || p.oid, e.key + 1,
    CASE coalesce(p.proargmodes ->> e.key, 'i') WHEN 'o' THEN 'OUT' WHEN 'b' THEN 'INOUT' WHEN 't' THEN 'OUT' ELSE 'IN' END,
    'NO', 'NO', nullif(p.proargnames ->> e.key, ''),
    CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN t.typnamespace = 11 THEN pg_format_type(t.oid, NULL)
        ELSE 'USER-DEFINED' END,
    d.catalog_name, nt.nspname, t.typname, e.key + 1, pg_pg_get_function_arg_default(p.oid, e.key + 1)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN json_each(coalesce(p.proallargtypes, p.proargtypes)) e
    JOIN pg_type t ON t.oid = e.value JOIN pg_namespace nt ON nt.oid = t.typnamespace
    JOIN "information_schema.information_schema_catalog_name" d
